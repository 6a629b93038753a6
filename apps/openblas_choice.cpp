#include <ebb/apps/openblas_choice.h>
#include <ebb/tensor/cpu/environment.h>
#include <ebb/tensor/cpu/openblas.h>
#include <unistd.h>

#include <cstdlib>

namespace ebb::apps {

void mend_openblas_choice([[maybe_unused]] char** argv) {
#if defined(__x86_64__)
  if (!cpu::environment("OPENBLAS_CORETYPE").empty() || cpu::openblas_core() != "Prescott") return;
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx512 && !avx2) return;
  setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 1);
  execv("/proc/self/exe", argv);
#endif
}

}  // namespace ebb::apps
