// Guidance: functions from predictors to predictors. They mix raw outputs, which is the same
// mixture whatever the prediction type, since x_0 and eps are linear in the output.
#pragma once

#include <ebb/diffusion/denoiser.h>

#include <functional>

namespace ebb {

// The scale as a function of the time that the model is told.
using GuidanceScale = std::function<double(double t)>;

// negative + w (positive - negative) (Ho & Salimans 2022, eq. 6, with w as in the tutorial: 0 is
// the negative, 1 the positive bit for bit). w must be finite; else Error.
Tensor guide(const Tensor& negative, const Tensor& positive, double w);

// Labels for training: each of (N) becomes `null_label` with probability p; `u` (N) are uniforms
// in [0, 1) and a label is dropped where u < p.
Tensor drop_labels(const Tensor& labels, const Tensor& u, double p, std::int64_t null_label);

struct CfgOptions {
  // Labels (N) of what to move away from; undefined means the null label for all.
  Tensor negative_labels = {};
  // Share of the guided output rescaled to the standard deviation of the positive one, each
  // sample for itself (Lin et al. 2023, eq. 15 and 16). In [0, 1].
  double rescale = 0;
  // Channels that are guided, from the first; the rest (a learned variance) are the positive's.
  // 0 means all.
  std::int64_t channels = 0;
};
// Classifier-free guidance. Both halves run as one batch of 2N; where the scale is 1 the positive
// half runs alone.
Predictor classifier_free(ConditionalPredictor model, Tensor labels, std::int64_t null_label,
                          GuidanceScale scale, const CfgOptions& options = {});
Predictor classifier_free(ConditionalPredictor model, Tensor labels, std::int64_t null_label,
                          double scale, const CfgOptions& options = {});

}  // namespace ebb
