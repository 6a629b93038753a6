#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/team.h>
#include <omp.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

namespace ebb {

namespace cpu {

namespace {

constexpr int most_threads = 1024;  // OpenMP ends the program when the system gives no more

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
  if (!environment("OMP_NUM_THREADS").empty())
    return std::clamp(omp_get_max_threads(), 1, most_threads);
  return std::max(1, std::min(omp_get_num_procs(), cgroup_limit()));
}

std::atomic<int>& count() {
  static std::atomic<int> value{default_count()};
  return value;
}

}  // namespace

}  // namespace cpu

int thread_count() { return cpu::count().load(std::memory_order_relaxed); }

void set_thread_count(int value) { cpu::count() = std::clamp(value, 1, cpu::most_threads); }

namespace cpu {

void run_blocks(std::int64_t blocks, void (*run)(const void* work, std::int64_t block),
                const void* work) {
  thread_local bool inside = false;
  const auto helpers = static_cast<int>(std::min<std::int64_t>(blocks, thread_count()) - 1);
  Job job{blocks, run, work, helpers};
  struct Inside {
    const bool before = std::exchange(inside, true);
    ~Inside() { inside = before; }
  } const scope;
  if (helpers == 0 || scope.before || !team().run(job)) job.help();
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace cpu
}  // namespace ebb
