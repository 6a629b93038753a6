#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

// The step over h in lambda: x_0 is taken as D0 + D1 u + D2 u^2, u from 0 to 1 on the way, and
// integrated against k e^{-k (1 - u)}, k = h for the ODE and 2 h for the SDE.
struct Weights {
  double d0, d1, d2;
};
Weights weights(double k, DpmVariant variant, bool third_order) {
  const double e = -std::expm1(-k);
  if (!std::isfinite(k) || k == 0) return {e, 0, 0};
  const bool integrated = third_order || variant != DpmVariant::midpoint;
  const double bend = third_order ? (e - k) / (k * k) + 0.5 : 0;
  return {e, integrated ? 1 - e / k : e / 2, variant == DpmVariant::exact ? 2 * bend : bend};
}

// Newton's differences through the latest predictions (latest first), scaled to u.
std::vector<Tensor> derivatives(const std::vector<HistoryEntry>& history, double h, int order) {
  if (order == 1) return {history[0].value};
  const double r0 = (history[0].at - history[1].at) / h;
  const Tensor slope = axpby(1 / r0, history[0].value, -1 / r0, history[1].value);
  if (order == 2) return {history[0].value, slope};
  const double r1 = (history[1].at - history[2].at) / h;
  const Tensor before = axpby(1 / r1, history[1].value, -1 / r1, history[2].value);
  const Tensor bend = (slope - before) * (1 / (r0 + r1));
  return {history[0].value, axpby(1, slope, r0, bend), bend};
}

Tensor advance(const Tensor& x, const Level& from, const Level& to, const std::vector<Tensor>& d,
               double k, DpmVariant variant) {
  const Weights w = weights(k, variant, d.size() == 3);
  const double kept = to.sigma / from.sigma;
  // For the SDE (k = 2 h) x decays by another e^{-h}.
  const double h = to.lambda() - from.lambda();
  Tensor next = axpby(k == h || kept == 0 ? kept : kept * std::exp(-h), x, to.alpha * w.d0, d[0]);
  if (d.size() > 1) add_(next, d[1], to.alpha * w.d1);
  if (d.size() > 2) add_(next, d[2], to.alpha * w.d2);
  return next;
}

}  // namespace

Tensor dpm_solver_multistep(const Sampling& s, Tensor x, const DpmOptions& options) {
  check(options.order >= 1 && options.order <= 3, "dpm_solver: order {}; from 1 to 3 are possible",
        options.order);
  std::vector<HistoryEntry> history;  // latest first
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const double h = to.lambda() - from.lambda();
    push_history(history, from.lambda(), e.x0, options.order);

    std::int64_t order = static_cast<std::int64_t>(history.size());
    if (options.lower_order_final) order = std::min(order, s.steps() - i);
    if (!std::isfinite(h) || h == 0) order = 1;
    const double k = options.stochastic ? 2 * h : h;
    x = advance(x, from, to, derivatives(history, h, static_cast<int>(order)), k, options.variant);
    if (options.stochastic && to.sigma > 0)
      add_(x, s.draw("dpm_solver", x, i), to.sigma * std::sqrt(std::max(0.0, -std::expm1(-k))));
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor dpm_solver_singlestep(const Sampling& s, Tensor x, DpmVariant variant) {
  const std::int64_t first = leave_pure_noise(s, x);
  Tensor start;  // x at the first level of the pair
  std::vector<HistoryEntry> history;
  for (std::int64_t i = first; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const bool second = (i - first) % 2 == 1;
    if (second && to.sigma > 0 && from.lambda() != history[0].at) {
      // x_0 at the pair's first level and its slope towards the second.
      const double h = to.lambda() - history[0].at;
      const double r = (from.lambda() - history[0].at) / h;
      const Tensor slope = axpby(1 / r, e.x0, -1 / r, history[0].value);
      x = advance(start, s.grid[i - 1], to, {history[0].value, slope}, h, variant);
    } else {
      start = x;
      history = {{from.lambda(), e.x0}};
      x = advance(x, from, to, {e.x0}, to.lambda() - from.lambda(), variant);
    }
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
