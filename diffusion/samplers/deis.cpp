#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

// Coefficients, lowest first, of the Lagrange polynomial that is 1 at nodes[j], 0 at the others.
std::vector<double> lagrange(const std::vector<double>& nodes, std::size_t j) {
  std::vector<double> p{1};
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == j) continue;
    const double scale = 1 / (nodes[j] - nodes[k]);
    std::vector<double> product(p.size() + 1, 0);
    for (std::size_t i = 0; i < p.size(); ++i) {
      product[i] -= p[i] * nodes[k] * scale;
      product[i + 1] += p[i] * scale;
    }
    p = product;
  }
  return p;
}

double value(const std::vector<double>& p, double u) {
  double sum = 0;
  for (std::size_t i = p.size(); i-- > 0;) sum = sum * u + p[i];
  return sum;
}

// The primitive of p(u) e^u: e^u (p - p' + p'' - ...), 0 at u = -infinity.
double primitive(std::vector<double> p, double u) {
  if (std::isinf(u)) return 0;
  double sum = 0, sign = 1;
  while (!p.empty()) {
    sum += sign * value(p, u);
    sign = -sign;
    for (std::size_t i = 1; i < p.size(); ++i) p[i - 1] = static_cast<double>(i) * p[i];
    p.pop_back();
  }
  return std::exp(u) * sum;
}

}  // namespace

Tensor deis(const Sampling& s, Tensor x, const DeisOptions& options) {
  check(options.order >= 1 && options.order <= 4, "deis: order {}; from 1 to 4 are possible",
        options.order);
  std::vector<HistoryEntry> history;  // latest first
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const double here = std::log(from.ratio());
    push_history(history, here, e.eps, options.order);
    std::size_t order = history.size();
    if (options.lower_order_final) order = std::min(order, static_cast<std::size_t>(s.steps() - i));

    // u = log(s / s_here): the integral of L_j ds is s_here times that of L_j(u) e^u du.
    std::vector<double> nodes;
    for (std::size_t j = 0; j < order; ++j) nodes.push_back(history[j].at - here);
    const double end = std::log(to.ratio()) - here;
    x = x * (to.alpha / from.alpha);
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      const std::vector<double> p = lagrange(nodes, j);
      add_(x, history[j].value, to.alpha * from.ratio() * (primitive(p, end) - primitive(p, 0)));
    }
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
