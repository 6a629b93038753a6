// Eigenvalues of symmetric matrices.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

struct Eigen {
  Tensor values;   // (n) float64, ascending
  Tensor vectors;  // (n, n) float64, column j belongs to values[j]; orthonormal
};

// A = V diag(values) V^T for symmetric A (n, n) float64, by LAPACK's divide and conquer (dsyevd).
// The upper triangle is not read. A that is not finite is an Error.
Eigen symmetric_eigen(const Tensor& a);

}  // namespace ebb
