#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

// A prediction of x_0 and the lambda it was made at.
struct Known {
  double lambda;
  Tensor x0;
};

// The step over h in lambda: x_0 is taken as D0 + D1 u + D2 u^2, u from 0 to 1 on the way, and
// integrated against k e^{-k (1 - u)}, k = h for the ODE and 2 h for the SDE.
struct Weights {
  double d0, d1, d2;
};
Weights weights(double k, DpmVariant variant, bool third_order) {
  const double e = -std::expm1(-k);
  if (!std::isfinite(k) || k == 0) return {e, 0, 0};
  const bool exact = variant == DpmVariant::heun;
  const double bend = third_order ? 2 * (e - k) / (k * k) + 1 : 0;
  return {e, exact || third_order ? 1 - e / k : e / 2, exact ? bend : bend / 2};
}

// Newton's differences through the latest predictions (latest first), scaled to u.
std::vector<Tensor> derivatives(const std::vector<Known>& known, double h, int order) {
  std::vector<Tensor> d{known[0].x0};
  if (order == 1) return d;
  const double r0 = (known[0].lambda - known[1].lambda) / h;
  const Tensor slope = axpby(1 / r0, known[0].x0, -1 / r0, known[1].x0);
  d.push_back(slope);
  if (order == 2) return d;
  const double r1 = (known[1].lambda - known[2].lambda) / h;
  const Tensor before = axpby(1 / r1, known[1].x0, -1 / r1, known[2].x0);
  const Tensor bend = (slope - before) * (1 / (r0 + r1));
  d[1] = axpby(1, slope, r0, bend);
  d.push_back(bend);
  return d;
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
  std::vector<Known> known;  // latest first
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const double h = to.lambda() - from.lambda();
    // A level visited again replaces what was known there.
    std::erase_if(known, [&](const Known& k) { return k.lambda == from.lambda(); });
    known.insert(known.begin(), {from.lambda(), e.x0});
    if (known.size() > static_cast<std::size_t>(options.order)) known.pop_back();

    std::int64_t order = static_cast<std::int64_t>(known.size());
    if (options.lower_order_final) order = std::min(order, s.steps() - i);
    if (!std::isfinite(h) || h == 0) order = 1;
    const double k = options.stochastic ? 2 * h : h;
    x = advance(x, from, to, derivatives(known, h, static_cast<int>(order)), k, options.variant);
    if (options.stochastic && to.sigma > 0)
      add_(x, s.draw("dpm_solver", x, i), to.sigma * std::sqrt(std::max(0.0, -std::expm1(-k))));
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor dpm_solver_singlestep(const Sampling& s, Tensor x, DpmVariant variant) {
  const std::int64_t first = leave_pure_noise(s, x);
  Tensor start;  // x at the first level of the pair
  std::vector<Known> known;
  for (std::int64_t i = first; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const bool second = (i - first) % 2 == 1;
    if (second && to.sigma > 0 && from.lambda() != known[0].lambda) {
      // x_0 at the pair's first level and its slope towards the second.
      const double h = to.lambda() - known[0].lambda;
      const double r = (from.lambda() - known[0].lambda) / h;
      const Tensor slope = axpby(1 / r, e.x0, -1 / r, known[0].x0);
      x = advance(start, s.grid[i - 1], to, {known[0].x0, slope}, h, variant);
    } else {
      start = x;
      known = {{from.lambda(), e.x0}};
      x = advance(x, from, to, {e.x0}, to.lambda() - from.lambda(), variant);
    }
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
