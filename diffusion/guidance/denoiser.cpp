#include <ebb/diffusion/guidance/denoiser.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {
namespace {

// eps = (x - alpha x_0) / sigma.
Tensor epsilon_of(const Tensor& x, const Tensor& x0, const Level& level) {
  return axpby(1 / level.sigma, x, -level.alpha / level.sigma, x0);
}

// x_0 = clip(c_skip x + c_out F(c_in x, t)) with eps derived from it.
template <class F>
Denoiser preconditioned(Predictor model, const Clip& clip, F coefficients) {
  return [=](const Tensor& x, const Level& level) {
    check(level.alpha == 1, "edm denoiser: alpha = {}; its paths have alpha = 1, as Path::edm",
          level.alpha);
    const EdmCoefficients c = coefficients(level.sigma);
    const Tensor output = model(x * c.in, level);
    const Tensor x0 = clip_x0(axpby(c.skip, x, c.out, output), clip);
    return Estimate{x0, epsilon_of(x, x0, level), {}};
  };
}

}  // namespace

Tensor times_of(const Level& level, const Tensor& x) {
  return Tensor::full({x.size(0)}, level.t, x.dtype(), x.device());
}

Denoiser make_denoiser(Predictor model, Prediction prediction, const DenoiserOptions& options) {
  return [=](const Tensor& x, const Level& level) {
    Estimate estimate;
    Tensor output = model(x, level);
    if (options.learned_variance) {
      const std::int64_t channels = x.size(-1);
      check(output.size(-1) == 2 * channels,
            "denoiser: output {} for x {}; a learned variance needs twice the channels",
            output.shape(), x.shape());
      estimate.variance = slice(output, -1, channels, 2 * channels);
      output = slice(output, -1, 0, channels);
    }
    const X0Eps ends = x0_eps_of(prediction, x, output, level);
    estimate.x0 = clip_x0(ends.x0, options.clip);
    const bool moved = options.clip.kind != Clip::Kind::none && options.clip.rederive_epsilon;
    estimate.eps = moved && level.sigma > 0 ? epsilon_of(x, estimate.x0, level) : ends.eps;
    return estimate;
  };
}

EdmCoefficients edm_coefficients(double ratio, double sigma_data) {
  const double total = std::hypot(ratio, sigma_data);
  return {1 / total, sigma_data * sigma_data / (total * total), ratio * sigma_data / total};
}

Denoiser edm_denoiser(Predictor model, double sigma_data, const Clip& clip) {
  return preconditioned(std::move(model), clip,
                        [=](double s) { return edm_coefficients(s, sigma_data); });
}

Denoiser consistency_denoiser(Predictor model, double sigma_data, double sigma_min,
                              const Clip& clip) {
  return preconditioned(std::move(model), clip, [=](double s) {
    EdmCoefficients c = edm_coefficients(s, sigma_data);
    const double above = s - sigma_min;
    c.out = above * c.in * sigma_data;
    c.skip = sigma_data * sigma_data / (above * above + sigma_data * sigma_data);
    return c;
  });
}

Tensor edm_target(const Path& path, const Tensor& x0, const Tensor& eps, const Tensor& t,
                  double sigma_data) {
  std::vector<double> by_x0, by_eps;
  for (const Level& level : levels_of("edm_target", path, x0, t)) {
    const double s = level.ratio();
    const EdmCoefficients c = edm_coefficients(s, sigma_data);
    by_x0.push_back((1 - c.skip) / c.out);
    by_eps.push_back(-c.skip * s / c.out);
  }
  return mix(by_x0, x0, by_eps, eps);
}

}  // namespace ebb
