#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>
#include <numbers>

namespace ebb {
namespace {

double scale_at(const GuidanceScale& scale, const Level& level) {
  const double w = scale(level);
  check(std::isfinite(w), "guidance: the scale is {}; it must be a finite number", w);
  return w;
}

// (1 - share) guided + share guided std(positive) / std(guided), each sample for itself.
Tensor rescaled(const Tensor& guided, const Tensor& positive, double share) {
  if (share == 0) return guided;
  Dims dims;
  for (std::int64_t d = 1; d < guided.rank(); ++d) dims.push_back(d);
  const Tensor factor = std(positive, dims, true, true) / std(guided, dims, true, true);
  return guided * (factor * share + (1 - share));
}

}  // namespace

Tensor guide(const Tensor& negative, const Tensor& positive, double w) {
  check(std::isfinite(w), "guidance: the scale is {}; it must be a finite number", w);
  if (w == 1) return positive;
  return axpby(1 - w, negative, w, positive);
}

Conditioning drop_conditioning(const Conditioning& given, const Conditioning& nothing,
                               const Tensor& u, double p) {
  check(p >= 0 && p <= 1, "dropout of conditions: probability {}; it must be in [0, 1]", p);
  return where(less(u.to(DType::float64), p), nothing, given);
}

Predictor classifier_free(ConditionalPredictor model, Conditioning positive, Conditioning negative,
                          GuidanceScale scale, const CfgOptions& options) {
  check(options.rescale >= 0 && options.rescale <= 1,
        "guidance: rescale = {}; it must be in [0, 1]", options.rescale);
  const Conditioning given = cat(negative, positive);
  return [=](const Tensor& x, const Level& level) {
    const double w = scale_at(scale, level);
    if (w == 1) return model(x, level, positive);
    const std::int64_t n = x.size(0);
    const Tensor both = model(cat({x, x}, 0), level, given);
    const Tensor away = slice(both, 0, 0, n), toward = slice(both, 0, n, 2 * n);
    const std::int64_t channels = options.channels > 0 ? options.channels : both.size(-1);
    const auto guided = [&](const Tensor& from, const Tensor& to) {
      return rescaled(guide(from, to, w), to, options.rescale);
    };
    if (channels == both.size(-1)) return guided(away, toward);
    return cat({guided(slice(away, -1, 0, channels), slice(toward, -1, 0, channels)),
                slice(toward, -1, channels, both.size(-1))},
               -1);
  };
}

Predictor classifier_free(ConditionalPredictor model, Conditioning positive, Conditioning negative,
                          double scale, const CfgOptions& options) {
  check(std::isfinite(scale), "guidance: the scale is {}; it must be a finite number", scale);
  return classifier_free(
      std::move(model), std::move(positive), std::move(negative),
      [scale](const Level&) { return scale; }, options);
}

Predictor autoguided(Predictor strong, Predictor weak, GuidanceScale scale) {
  return [=](const Tensor& x, const Level& level) {
    const double w = scale_at(scale, level);
    const Tensor toward = strong(x, level);
    return w == 1 ? toward : guide(weak(x, level), toward, w);
  };
}

GuidanceScale interval_scale(GuidanceScale scale, double low, double high) {
  check(low >= 0 && low <= high,
        "guidance interval: [{}, {}] of sigma / alpha; needs 0 <= low <= high", low, high);
  return [=](const Level& level) {
    const double s = level.ratio();
    return s >= low && s <= high ? scale(level) : 1;
  };
}

GuidanceScale ramped_scale(const Path& path, double at_noise, double at_data, Ramp ramp) {
  check(std::isfinite(at_noise) && std::isfinite(at_data),
        "guidance ramp: from {} to {}; both must be finite numbers", at_noise, at_data);
  return [=, low = path.t_data(), high = path.t_noise()](const Level& level) {
    double u = (level.t - low) / (high - low);
    if (ramp == Ramp::cosine) u = (1 - std::cos(std::numbers::pi * u)) / 2;
    return at_data + (at_noise - at_data) * u;
  };
}

}  // namespace ebb
