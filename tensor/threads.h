// How many threads the CPU's kernels use. Results have the same bits with any number.
#pragma once

namespace ebb {

// The caller counts as one. OMP_NUM_THREADS if set, else the least of the CPU affinity and the
// cgroup's quota.
int thread_count();
// From 1 to 1024; a number outside becomes the nearest. For the whole process, at any time.
void set_thread_count(int count);

}  // namespace ebb
