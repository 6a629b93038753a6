#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

// Solves the Vandermonde system sum_k r_k^j rho_k = b_j, j = 0..n-1, by elimination.
std::vector<double> solve_vandermonde(const std::vector<double>& r, std::vector<double> b) {
  const std::size_t n = r.size();
  std::vector<std::vector<double>> a(n, std::vector<double>(n, 1));
  for (std::size_t j = 1; j < n; ++j)
    for (std::size_t k = 0; k < n; ++k) a[j][k] = a[j - 1][k] * r[k];
  for (std::size_t p = 0; p < n; ++p) {
    std::size_t pivot = p;
    for (std::size_t j = p + 1; j < n; ++j)
      if (std::abs(a[j][p]) > std::abs(a[pivot][p])) pivot = j;
    std::swap(a[p], a[pivot]);
    std::swap(b[p], b[pivot]);
    for (std::size_t j = p + 1; j < n; ++j) {
      const double factor = a[j][p] / a[p][p];
      for (std::size_t k = p; k < n; ++k) a[j][k] -= factor * a[p][k];
      b[j] -= factor * b[p];
    }
  }
  for (std::size_t p = n; p-- > 0;) {
    for (std::size_t k = p + 1; k < n; ++k) b[p] -= a[p][k] * b[k];
    b[p] /= a[p][p];
  }
  return b;
}

// b_j = j! phi_{j+1}(hh) hh / B, j = 1..n (Zhao et al. 2023, eq. 5 with x_0 prediction).
std::vector<double> right_side(double hh, double B, std::size_t n) {
  std::vector<double> b;
  double phi = std::expm1(hh) / hh - 1, factorial = 1;
  for (std::size_t j = 1; j <= n; ++j) {
    b.push_back(phi * factorial / B);
    factorial *= static_cast<double>(j + 1);
    phi = phi / hh - 1 / factorial;
  }
  return b;
}

// One step from x at history[0] to `to`. With `there`, the prediction made at `to`, it is the
// corrector, else the predictor.
Tensor unified_step(const Tensor& x, const Level& from, const Level& to,
                    const std::vector<HistoryEntry>& history, std::size_t order,
                    const Tensor* there, bool bh2) {
  const double h = to.lambda() - from.lambda(), hh = -h;
  const double B = bh2 ? std::expm1(hh) : hh;
  Tensor next = axpby(to.sigma / from.sigma, x, -to.alpha * std::expm1(hh), history[0].value);
  std::vector<double> r;
  std::vector<Tensor> values;
  for (std::size_t k = 1; k < order; ++k) {
    r.push_back((history[k].at - history[0].at) / h);
    values.push_back(history[k].value);
  }
  if (there) {
    r.push_back(1);
    values.push_back(*there);
  }
  if (r.empty()) return next;
  // With one difference the weight 1/2 keeps the order and is what the paper uses.
  const std::vector<double> rho =
      r.size() == 1 ? std::vector<double>{0.5} : solve_vandermonde(r, right_side(hh, B, r.size()));
  for (std::size_t k = 0; k < r.size(); ++k)
    add_(next, values[k] - history[0].value, -to.alpha * B * rho[k] / r[k]);
  return next;
}

}  // namespace

Tensor unipc(const Sampling& s, Tensor x, const UnipcOptions& options) {
  check(options.order >= 1 && options.order <= 3, "unipc: order {}; from 1 to 3 are possible",
        options.order);
  const std::int64_t first = leave_pure_noise(s, x);
  std::vector<HistoryEntry> history;  // latest first
  std::size_t order = 0;              // of the step just made
  Tensor before;                      // x before that step
  for (std::int64_t i = first; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    if (options.corrector && i > first && s.grid[i - 1].lambda() != from.lambda())
      x = unified_step(before, s.grid[i - 1], from, history, order, &e.x0, options.bh2);
    push_history(history, from.lambda(), e.x0, options.order);

    before = x;
    order = history.size();
    if (options.lower_order_final) order = std::min(order, static_cast<std::size_t>(s.steps() - i));
    if (to.sigma == 0) order = 1;
    if (to.lambda() != from.lambda())
      x = unified_step(x, from, to, history, order, nullptr, options.bh2);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
