#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {
namespace {

// The standard deviation of the step from t to s: a number, or a tensor where the model says it.
Tensor scaled_noise(const Tensor& z, const Level& t, const Level& s, DdpmVariance kind,
                    const Estimate& estimate) {
  const double large = unit_posterior_variance(t, s), small = posterior(t, s).variance;
  if (kind != DdpmVariance::learned_range)
    return z * std::sqrt(kind == DdpmVariance::small ? small : large);
  check(estimate.variance.defined(),
        "ddpm: learned_range, but the model predicts no variance; set learned_variance");
  const double low = std::log(std::max(small, 1e-20)), high = std::log(large);
  const Tensor log_variance = estimate.variance * ((high - low) / 2) + (high + low) / 2;
  return exp(log_variance * 0.5) * z;
}

}  // namespace

Tensor ddpm(const Sampling& s, Tensor x, DdpmVariance variance) {
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const Posterior q = posterior(from, to);
    x = axpby(q.x, x, q.x0, e.x0);
    if (to.sigma > 0) add_(x, scaled_noise(s.draw("ddpm", x, i), from, to, variance, e));
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
