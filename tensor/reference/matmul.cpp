#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ebb::reference {

namespace {

void bmm(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, Tensor& out) {
  const std::int64_t count = out.size(0), m = out.size(1), n = out.size(2);
  const std::int64_t k = a.size(trans_a ? 1 : 2);
  dispatch_floating("bmm", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t s = 0; s < count; ++s)
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (std::int64_t p = 0; p < k; ++p)
            sum += double(input<T>(a)[s * m * k + (trans_a ? p * m + i : i * k + p)]) *
                   double(input<T>(b)[s * k * n + (trans_b ? j * k + p : p * n + j)]);
          output<T>(out)[(s * m + i) * n + j] = T(sum);
        }
  });
}

// y = x weight^T + bias; x (m, k), weight (n, k).
void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& out) {
  const std::int64_t m = out.size(0), n = out.size(1), k = x.size(1);
  dispatch_floating("linear", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = bias.defined() ? double(input<T>(bias)[j]) : 0;
        for (std::int64_t p = 0; p < k; ++p)
          sum += double(input<T>(x)[i * k + p]) * double(input<T>(weight)[j * k + p]);
        output<T>(out)[i * n + j] = T(sum);
      }
  });
}

// Jacobi's rotations (Golub & Van Loan, 8.5): each makes a pair of off-diagonal elements zero,
// until all are.
void symmetric_eigen(Tensor& a, Tensor& values) {
  const std::int64_t n = a.size(0);
  const auto at = [n](std::int64_t i, std::int64_t j) {
    return static_cast<std::size_t>(i * n + j);
  };
  double* result = output<double>(a);
  std::vector<double> m(result, result + n * n), v(m.size());
  for (std::int64_t i = 0; i < n; ++i) {
    v[at(i, i)] = 1;  // row i: eigenvector i
    for (std::int64_t j = i + 1; j < n; ++j) m[at(i, j)] = m[at(j, i)];
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0, all = 0;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        all += m[at(i, j)] * m[at(i, j)];
        if (i != j) off += m[at(i, j)] * m[at(i, j)];
      }
    if (off <= 1e-32 * all) break;
    for (std::int64_t p = 0; p < n; ++p)
      for (std::int64_t q = p + 1; q < n; ++q) {
        if (m[at(p, q)] == 0) continue;
        const double theta = (m[at(q, q)] - m[at(p, p)]) / (2 * m[at(p, q)]);
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        const auto rotate = [&](double& x, double& y) {
          const double old = x;
          x = c * x - s * y;
          y = s * old + c * y;
        };
        for (std::int64_t k = 0; k < n; ++k) rotate(m[at(k, p)], m[at(k, q)]);
        for (std::int64_t k = 0; k < n; ++k) rotate(m[at(p, k)], m[at(q, k)]);
        for (std::int64_t k = 0; k < n; ++k) rotate(v[at(p, k)], v[at(q, k)]);
      }
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::int64_t i, std::int64_t j) { return m[at(i, i)] < m[at(j, j)]; });
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t from = order[static_cast<std::size_t>(i)];
    output<double>(values)[i] = m[at(from, from)];
    std::copy_n(v.begin() + from * n, n, result + i * n);
  }
}

}  // namespace

void add_matmul_kernels(Kernels& table) {
  table.bmm = bmm;
  table.linear = linear;
  table.symmetric_eigen = symmetric_eigen;
}

}  // namespace ebb::reference
