// OpenBLAS, as the yardstick of `ebb bench` and a second opinion in tests. The library's own
// products do not use it: the bits of its results change with the shape and the threads.
#pragma once

#include <cstdint>
#include <string>

namespace ebb::cpu {

// c = a b, row-major, a (m,k), b (k,n), c (m,n).
void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
                   float* c);
void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, const double* b,
                   double* c);

// The processor whose kernels OpenBLAS runs ("SkylakeX", "Haswell", ...).
std::string openblas_core();

}  // namespace ebb::cpu
