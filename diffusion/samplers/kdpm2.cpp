#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {
namespace {

// From `from` to `to` along the slope at their geometric mean; straight where `to` is clean.
Tensor midpoint_step(const Sampling& s, const Tensor& x, const Level& from, const Level& to,
                     Tensor& x0) {
  Estimate e = s.denoiser(x, from);
  if (to.sigma > 0) {
    const Level middle = s.path.at_ratio(std::sqrt(from.ratio() * to.ratio()));
    e = s.denoiser(move(x, from, middle, e.eps), middle);
  }
  x0 = e.x0;
  return move(x, from, to, e.eps);
}

}  // namespace

Tensor kdpm2(const Sampling& s, Tensor x) {
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    Tensor x0;
    x = midpoint_step(s, x, s.grid[i], s.grid[i + 1], x0);
    s.observe(i, x, x0);
  }
  return x;
}

Tensor kdpm2_ancestral(const Sampling& s, Tensor x, double eta) {
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const AncestralStep step = ancestral_step(from.ratio(), to.ratio(), eta);
    Tensor x0;
    x = midpoint_step(s, x, from, {to.t, to.alpha, to.alpha * step.down}, x0);
    if (step.up > 0) add_(x, s.draw("kdpm2_ancestral", x, i), to.alpha * step.up);
    s.observe(i, x, x0);
  }
  return x;
}

}  // namespace ebb
