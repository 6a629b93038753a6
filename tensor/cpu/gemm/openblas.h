// OpenBLAS and its LAPACK: products of float64 matrices, eigenvalues, and the yardstick of
// `ebb bench`. Products of float32 matrices are not faster with it (see README), and their bits
// would change with the shape.
#pragma once

#include <ebb/tensor/cpu/gemm/gemm.h>

#include <cstdint>
#include <string>

namespace ebb::cpu {

// c = [c +] a b on the calling thread alone; c has rows `ldc` apart. Sizes and strides below 2^31,
// else Error.
void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
                   const Matrix<double>& b, double* c, std::int64_t ldc, bool accumulate);

// c = a b, row-major, a (m,k), b (k,n), c (m,n), by OpenBLAS's own threads: for comparison.
void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
                   float* c);

// Eigenvalues, ascending, of the symmetric n x n matrix whose lower triangle (row-major) is in
// `a`, by LAPACK's dsyevd on the calling thread alone. Row j of `a` becomes the eigenvector of the
// j-th. An Error if it does not converge.
void openblas_symmetric_eigen(std::int64_t n, double* a, double* values);

// The processor whose kernels OpenBLAS runs ("SkylakeX", "Haswell", ...).
std::string openblas_core();

}  // namespace ebb::cpu
