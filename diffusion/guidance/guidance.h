// Guidance: functions from predictors to predictors. They mix raw outputs, which is the same
// mixture whatever the prediction type, since x_0 and eps are linear in the output.
#pragma once

#include <ebb/autograd/variable.h>
#include <ebb/diffusion/guidance/denoiser.h>

#include <functional>

namespace ebb {

// The scale as a function of the level.
using GuidanceScale = std::function<double(const Level& level)>;

// negative + w (positive - negative) (Ho & Salimans 2022, eq. 6, with w as in the tutorial: 0 is
// the negative, 1 the positive bit for bit). w must be finite; else Error.
Tensor guide(const Tensor& negative, const Tensor& positive, double w);

// Conditions for training: each sample's become those of `nothing` with probability p; `u` (N) are
// uniforms in [0, 1) and a sample's are dropped where u < p.
Conditioning drop_conditioning(const Conditioning& given, const Conditioning& nothing,
                               const Tensor& u, double p);

struct CfgOptions {
  // Share of the guided output rescaled to the standard deviation of the positive one, each
  // sample for itself (Lin et al. 2023, eq. 15 and 16). In [0, 1].
  double rescale = 0;
  // Channels that are guided, from the first; the rest (a learned variance) are the positive's.
  // 0 means all.
  std::int64_t channels = 0;
};
// Classifier-free guidance towards `positive`, away from `negative` (Model::null_conditioning, or
// another), which are told alike. Both halves run as one batch of 2N; where the scale is 1 the
// positive half runs alone.
Predictor classifier_free(ConditionalPredictor model, Conditioning positive, Conditioning negative,
                          GuidanceScale scale, const CfgOptions& options = {});
Predictor classifier_free(ConditionalPredictor model, Conditioning positive, Conditioning negative,
                          double scale, const CfgOptions& options = {});

// A weaker model as the negative (Karras et al. 2024): guide(weak, strong, w).
Predictor autoguided(Predictor strong, Predictor weak, GuidanceScale scale);

// `scale` where the ratio sigma / alpha is in [low, high], elsewhere 1 (Kynkaanniemi et al. 2024).
GuidanceScale interval_scale(GuidanceScale scale, double low, double high);
// A schedule: from `at_noise` to `at_data` along the path, linearly in t or by half a cosine.
enum class Ramp : std::uint8_t { linear, cosine };
GuidanceScale ramped_scale(const Path& path, double at_noise, double at_data,
                           Ramp ramp = Ramp::linear);

// log p(y | x_t) guides (Dhariwal & Nichol 2021, alg. 2): eps - w sigma grad_x log p(y | x),
// x_0 + w sigma^2 / alpha grad_x log p(y | x). `classifier` gives logits (N, classes) for x at a
// level, recorded for autograd; labels int64 (N). Pure noise (alpha = 0) is left unguided.
using NoisyClassifier = std::function<Variable(const Variable& x, const Level& level)>;
Denoiser classifier_guided(Denoiser denoiser, NoisyClassifier classifier, Tensor labels,
                           GuidanceScale scale);

}  // namespace ebb
