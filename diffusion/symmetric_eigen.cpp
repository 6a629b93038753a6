#include <ebb/diffusion/symmetric_eigen.h>
#include <ebb/tensor/pointwise.h>

#include <cmath>

namespace ebb {

namespace {

// Rows p and q of an n x n matrix turned by the angle whose cosine and sine are c and s.
void rotate_rows(double* m, std::size_t n, std::size_t p, std::size_t q, double c, double s) {
  for (std::size_t k = 0; k < n; ++k) {
    const double x = m[p * n + k], y = m[q * n + k];
    m[p * n + k] = c * x - s * y;
    m[q * n + k] = s * x + c * y;
  }
}

void rotate_columns(double* m, std::size_t n, std::size_t p, std::size_t q, double c, double s) {
  for (std::size_t k = 0; k < n; ++k) {
    const double x = m[k * n + p], y = m[k * n + q];
    m[k * n + p] = c * x - s * y;
    m[k * n + q] = s * x + c * y;
  }
}

double off_diagonal(const double* m, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) sum += 2 * m[i * n + j] * m[i * n + j];
  return sum;
}

}  // namespace

Eigen symmetric_eigen(const Tensor& a) {
  check(a.rank() == 2 && a.size(0) == a.size(1) && a.dtype() == DType::float64,
        "symmetric_eigen: {} of {}; a square matrix of float64 is needed", a.shape(), a.dtype());
  check(all_finite(a), "symmetric_eigen: the matrix has elements that are not finite");
  const std::size_t n = static_cast<std::size_t>(a.size(0));
  std::vector<double> m = a.to_vector<double>();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) m[j * n + i] = m[i * n + j];
  // Rows of v are the eigenvectors while it is built: rotations then run along memory.
  std::vector<double> v(n * n, 0.0);
  double norm = 0;
  for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (const double x : m) norm += x * x;

  for (int sweep = 0; sweep < 40 && off_diagonal(m.data(), n) > 1e-30 * norm; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        const double apq = m[p * n + q];
        if (apq == 0) continue;
        // tan of the angle that makes the new apq zero, the smaller root (eq. 8.5.2).
        const double tau = (m[q * n + q] - m[p * n + p]) / (2 * apq);
        const double t = (tau < 0 ? -1 : 1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
        const double c = 1 / std::sqrt(1 + t * t), s = t * c;
        rotate_rows(m.data(), n, p, q, c, s);
        rotate_columns(m.data(), n, p, q, c, s);
        rotate_rows(v.data(), n, p, q, c, s);
      }

  Eigen result;
  std::vector<double> columns(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    result.values.push_back(m[i * n + i]);
    for (std::size_t j = 0; j < n; ++j) columns[j * n + i] = v[i * n + j];
  }
  result.vectors = Tensor::from(columns, a.shape());
  return result;
}

}  // namespace ebb
