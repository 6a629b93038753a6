#include <ebb/tensor/cpu/environment.h>
#include <ebb/tensor/cpu/team.h>
#include <ebb/tensor/cpu/threads.h>
#include <omp.h>
#include <sched.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

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

}  // namespace ebb::cpu
