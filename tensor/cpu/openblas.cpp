#include <cblas.h>
#include <ebb/tensor/cpu/openblas.h>

#include <cstdlib>

namespace ebb::cpu {

namespace {

blasint size(std::int64_t value) { return static_cast<blasint>(value); }

#if defined(__x86_64__)
// OpenBLAS recognises processors by model number and gives those it does not know kernels that are
// two or three times too slow. So it is told what the features say, unless the user has spoken.
// It asks in its own constructor, which has no priority and therefore runs after this one (in the
// static library; a shared one has asked before).
__attribute__((constructor(101))) void choose_core() {
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx512 || avx2) setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 0);
}
#endif

}  // namespace

void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
                   float* c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(m), size(n), size(k), 1, a, size(k),
              b, size(n), 0, c, size(n));
}

void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, const double* b,
                   double* c) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(m), size(n), size(k), 1, a, size(k),
              b, size(n), 0, c, size(n));
}

std::string openblas_core() { return openblas_get_corename(); }

}  // namespace ebb::cpu
