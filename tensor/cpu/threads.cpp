#include <ebb/tensor/cpu/environment.h>
#include <ebb/tensor/cpu/threads.h>
#include <sched.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ebb::cpu {

namespace {

// Whole processors that the cgroup's quota pays for; a large number without a quota.
int cgroup_limit() {
  double quota = -1, period = -1;
  if (std::ifstream file{"/sys/fs/cgroup/cpu.max"}) {
    std::string first;
    if (file >> first >> period && first != "max") quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us"} >> quota;
    std::ifstream{"/sys/fs/cgroup/cpu/cpu.cfs_period_us"} >> period;
  }
  if (quota <= 0 || period <= 0) return 1 << 16;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

int default_count() {
  // Set by the user, OpenMP has already read it.
  if (!environment("OMP_NUM_THREADS").empty()) return std::max(1, omp_get_max_threads());
  cpu_set_t set;
  const int affinity =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : omp_get_num_procs();
  return std::max(1, std::min(affinity, cgroup_limit()));
}

std::atomic<int>& count() {
  static std::atomic<int> value{default_count()};
  return value;
}

}  // namespace

int thread_count() { return count().load(std::memory_order_relaxed); }

void set_thread_count(int value) { count() = std::max(1, value); }

void flush_denormals() {
#if defined(__SSE2__)
  constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
  _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
#elif defined(__aarch64__)
  constexpr std::uint64_t flush_to_zero = std::uint64_t{1} << 24;
  std::uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  asm volatile("msr fpcr, %0" : : "r"(control | flush_to_zero));
#endif
}

}  // namespace ebb::cpu
