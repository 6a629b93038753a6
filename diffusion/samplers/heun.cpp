#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {
namespace {

void check_churn(const Churn& c) {
  check(c.churn >= 0 && c.noise >= 0 && c.low <= c.high,
        "churn: {} with noise {} for s in [{}, {}]; churn and noise must be at least 0 and the "
        "interval must not be empty",
        c.churn, c.noise, c.low, c.high);
}

// Noise that raises x from level `from`; returns the level it reaches.
Level raise(const Sampling& s, const Churn& churn, std::int64_t step, const Level& from,
            Tensor& x) {
  const double ratio = from.ratio();
  if (churn.churn == 0 || ratio < churn.low || ratio > churn.high) return from;
  const double gamma =
      std::min(churn.churn / static_cast<double>(s.steps()), std::numbers::sqrt2 - 1);
  const Level to = s.path.at_ratio(ratio * (1 + gamma));
  const double added = to.alpha * churn.noise * std::sqrt(to.ratio() * to.ratio() - ratio * ratio);
  x = axpby(to.alpha / from.alpha, x, added, s.draw("heun", x, step));
  return to;
}

}  // namespace

Tensor heun(const Sampling& s, Tensor x, const Churn& churn) {
  check_churn(churn);
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level from = raise(s, churn, i, s.grid[i], x), to = s.grid[i + 1];
    Estimate e = s.denoiser(x, from);
    Tensor next = move(x, from, to, e.eps);
    if (to.sigma > 0) {
      const Tensor first = e.eps;
      e = s.denoiser(next, to);
      next = move(x, from, to, axpby(0.5, first, 0.5, e.eps));
    }
    x = next;
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor euler_churn(const Sampling& s, Tensor x, const Churn& churn) {
  check_churn(churn);
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level from = raise(s, churn, i, s.grid[i], x);
    const Estimate e = s.denoiser(x, from);
    x = move(x, from, s.grid[i + 1], e.eps);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
