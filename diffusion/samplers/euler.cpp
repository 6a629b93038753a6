#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {

Tensor euler(const Sampling& s, Tensor x) {
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Estimate e = s.denoiser(x, s.grid[i]);
    x = move(x, s.grid[i], s.grid[i + 1], e.eps);
    s.observe(i, x, e.x0);
  }
  return x;
}

AncestralStep ancestral_step(double from, double to, double eta) {
  check(eta >= 0 && eta <= 1, "ancestral step: eta = {}; it must be in [0, 1]", eta);
  if (from <= 0) return {to, 0};
  const double up = to * std::min(1.0, eta * std::sqrt(std::max(0.0, 1 - to * to / (from * from))));
  return {std::sqrt(to * to - up * up), up};
}

Tensor euler_ancestral(const Sampling& s, Tensor x, double eta) {
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const AncestralStep step = ancestral_step(from.ratio(), to.ratio(), eta);
    const Estimate e = s.denoiser(x, from);
    x = move(x, from, {to.t, to.alpha, to.alpha * step.down}, e.eps);
    if (step.up > 0) add_(x, s.draw("euler_ancestral", x, i), to.alpha * step.up);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
