// The one place where the CPU kernels start threads.
//
// Work is cut into blocks of a fixed size, never by the number of threads, so that every sum is
// taken in the same order and the bits of a result do not depend on how many threads ran.
// Every thread flushes denormals to zero: convolutions on denormals run 40 times slower.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace ebb::cpu {

// Threads that parallel_for uses: OMP_NUM_THREADS if set, else the least of the CPU affinity and
// the cgroup's quota.
int thread_count();
void set_thread_count(int count);  // at least 1; for tests and `--threads`

// Sets flush-to-zero and denormals-are-zero in the calling thread.
void flush_denormals();

// Calls body(begin, end) for the blocks [0, grain), [grain, 2 grain), ... of [0, count), on
// several threads when there is more than one block. Nested calls run serially. `body` must not
// throw.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t blocks = (count + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(blocks, thread_count()));
  if (threads == 1 || omp_in_parallel()) {
    flush_denormals();
    for (std::int64_t b = 0; b < blocks; ++b)
      body(b * grain, std::min(count, (b + 1) * grain));
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    flush_denormals();
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t b = 0; b < blocks; ++b)
      body(b * grain, std::min(count, (b + 1) * grain));
  }
}

}  // namespace ebb::cpu
