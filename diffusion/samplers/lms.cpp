#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {

std::vector<double> lms_coefficients(const std::vector<double>& nodes, double from, double to) {
  check(!nodes.empty() && nodes.size() <= 4, "lms: {} nodes; from 1 to 4 are possible",
        nodes.size());
  // Gauss's rule of two points is exact for polynomials of third degree.
  const double middle = (from + to) / 2, half = (to - from) / 2;
  std::vector<double> result;
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    const auto basis = [&](double u) {
      double product = 1;
      for (std::size_t k = 0; k < nodes.size(); ++k)
        if (k != j) product *= (u - nodes[k]) / (nodes[j] - nodes[k]);
      return product;
    };
    const double offset = half / std::sqrt(3.0);
    result.push_back(half * (basis(middle - offset) + basis(middle + offset)));
  }
  return result;
}

Tensor lms(const Sampling& s, Tensor x, int order) {
  check(order >= 1 && order <= 4, "lms: order {}; from 1 to 4 are possible", order);
  std::vector<HistoryEntry> history;
  for (std::int64_t i = leave_pure_noise(s, x); i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    push_history(history, from.ratio(), e.eps, order);

    std::vector<double> nodes;
    for (const HistoryEntry& k : history) nodes.push_back(k.at);
    const std::vector<double> c = lms_coefficients(nodes, from.ratio(), to.ratio());
    x = x * (to.alpha / from.alpha);
    for (std::size_t j = 0; j < c.size(); ++j) add_(x, history[j].value, to.alpha * c[j]);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
