// Eigenvalues of symmetric matrices.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

struct Eigen {
  std::vector<double> values;  // in no order
  Tensor vectors;              // (n, n) float64, column j belongs to values[j]; orthonormal
};

// A = V diag(values) V^T for symmetric A (n, n) float64, by Jacobi's rotations in cyclic order
// (Golub & Van Loan 2013, sec. 8.5). Quadratic convergence and small relative errors in every
// eigenvalue; about 50 n^3 operations. The upper triangle is not read. A that is not finite is an
// Error.
Eigen symmetric_eigen(const Tensor& a);

}  // namespace ebb
