#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {

Tensor ddim(const Sampling& s, Tensor x, double eta) {
  check(eta >= 0 && eta <= 1, "ddim: eta = {}; it must be in [0, 1]", eta);
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const double variance = eta == 0 ? 0 : eta * eta * posterior(from, to).variance;
    const double direction = std::sqrt(std::max(0.0, to.sigma * to.sigma - variance));
    x = axpby(to.alpha, e.x0, direction, e.eps);
    if (variance > 0) add_(x, s.draw("ddim", x, i), std::sqrt(variance));
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor ddim_inversion(const Sampling& s, Tensor x) {
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, {to.t, from.alpha, from.sigma});
    x = axpby(to.alpha, e.x0, to.sigma, e.eps);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
