#include <ebb/apps/system/openblas_choice.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

namespace ebb::apps {
namespace {

constexpr rlim_t least_addresses = 512'000'000;

// Before any library has run: with nothing but system calls.
void check_addresses() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur >= least_addresses) return;
  constexpr char message[] =
      "ebb: ulimit -v leaves less than 512 MB of addresses, which is less than this program and "
      "OpenBLAS need to start; raise it\n";
  const ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
  _exit(written < 0 ? 2 : 1);
}
// An executable's preinit functions run before the constructors of its libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const preinit)() = check_addresses;

}  // namespace

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
