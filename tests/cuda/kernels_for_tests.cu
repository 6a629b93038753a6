#include <ebb/tensor/cuda/launch.h>

#include "tests/cuda/kernels_for_tests.h"

namespace ebb::test {

namespace {

using namespace ebb::cuda;

__global__ void race_after_write(float* x) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = shared[threadIdx.x / 2];
}

__global__ void race_after_read(float* x) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x < 32)
    x[threadIdx.x] = shared[63 - threadIdx.x];
  else
    shared[threadIdx.x] = 0;
}

__global__ void race_of_writes(float* x) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x / 2] = 1;
  __syncthreads();
  x[threadIdx.x] = shared[threadIdx.x / 2];
}

__global__ void race_in_a_static_array(float* x) {
  __shared__ float values[64];
  values[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = values[threadIdx.x / 2];
}

// A warp's own barrier does not order what another warp does.
__global__ void race_between_warps(float* x) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = shared[threadIdx.x % 32];
}

__global__ void unwritten(float* x) {
  float* shared = shared_memory<float>();
  if (threadIdx.x != 5) shared[threadIdx.x] = 1;
  __syncthreads();
  x[threadIdx.x] = shared[threadIdx.x];
}

__global__ void beyond_shared(float* x) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x + 1] = x[threadIdx.x];
}

__global__ void beyond_a_static_array(float* x, int beyond) {
  __shared__ float values[64];
  values[threadIdx.x + static_cast<unsigned>(beyond)] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = values[63];
}

__global__ void beyond_global(float* x, std::int64_t n) {
  if (thread_index() == 0) x[n] = 0;
}

__global__ void host_memory(float* x, const float* host) { x[threadIdx.x] = *host; }

__global__ void barrier_left_out(float* x) {
  if (threadIdx.x < 40) __syncthreads();
  x[threadIdx.x] = 0;
}

__global__ void barrier_against_warp(float* x) {
  if (threadIdx.x < 16)
    __syncwarp(0xffffffffu);
  else
    __syncthreads();
  x[threadIdx.x] = 0;
}

__global__ void mask_without_itself(float* x) {
  x[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);
}

// No sins: what looks like them.
__global__ void ordered_by_barriers(float* x) {
  float* shared = shared_memory<float>();
  for (int i = 0; i < 4; ++i) {
    shared[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = shared[63 - threadIdx.x];
    __syncthreads();
  }
}

__global__ void ordered_by_warps(float* x) {
  float* shared = shared_memory<float>();
  for (int i = 0; i < 4; ++i) {
    shared[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    x[threadIdx.x] = shared[threadIdx.x ^ 7];
    __syncwarp();
  }
}

__global__ void atomics_on_shared(float* x) {
  float* shared = shared_memory<float>();
  if (threadIdx.x == 0) shared[0] = 0;
  __syncthreads();
  atomicAdd(shared, 1.0f);
  __syncthreads();
  x[threadIdx.x] = shared[0];
}

__global__ void threads_that_end_early(float* x) {
  if (threadIdx.x % 32 >= 20) return;
  __syncwarp();
  x[threadIdx.x] = 0;
}

__global__ void warp_sum_kernel(const float* x, float* sums, std::int64_t* votes) {
  const std::int64_t i = thread_index();
  float value = x[i];
  const unsigned positive = __ballot_sync(0xffffffffu, value > 0);
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
  sums[i] = value;
  votes[i] = __popc(positive);
}

__global__ void atomic_sum_kernel(std::int64_t n, const float* x, float* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count()) {
    atomicAdd(out, x[i]);
    atomicMax(reinterpret_cast<int*>(out + 1), static_cast<int>(x[i]));
  }
}

__global__ void reverse_kernel(const float* x, float* out) {
  __shared__ float values[64];
  values[threadIdx.x] = x[thread_index()];
  __syncthreads();
  out[thread_index()] = values[63 - threadIdx.x];
}

template <class... Parameters, class... More>
std::function<void(const Tensor&)> sin(void (*kernel)(float*, Parameters...), More... more) {
  return [=](const Tensor& x) {
    const KernelScope scope(x.device());
    launch("sin", kernel, 2, 64, 64 * sizeof(float), static_cast<float*>(x.raw()), more...);
  };
}

}  // namespace

std::vector<Sin> sins() {
  return {
      {"race after a write", "wrote with no barrier between", sin(race_after_write)},
      {"race after a read", "with no barrier between", sin(race_after_read)},
      {"race of writes", "wrote with no barrier between", sin(race_of_writes)},
      {"race in a static array", "wrote with no barrier between", sin(race_in_a_static_array)},
      {"race between warps", "wrote with no barrier between", sin(race_between_warps)},
      {"unwritten", "that nobody has written", sin(unwritten)},
      {"beyond shared memory", "accesses shared memory at 256 of 256 bytes", sin(beyond_shared)},
      {"beyond a static array", "beyond an array", sin(beyond_a_static_array, 1)},
      {"beyond global memory", "outside every allocation",
       [](const Tensor& x) { sin(beyond_global, x.numel())(x); }},
      {"before global memory", "memory",
       [](const Tensor& x) { sin(beyond_global, std::int64_t{-1})(x); }},
      {"the host's memory", "reads the host's memory",
       [](const Tensor& x) {
         const std::vector<float> host(1);
         sin(host_memory, host.data())(x);
       }},
      {"a barrier left out", "__syncthreads", sin(barrier_left_out)},
      {"barriers at two places", "wait for each other", sin(barrier_against_warp)},
      {"a mask without itself", "without its own", sin(mask_without_itself)},
      {"ordered by barriers", nullptr, sin(ordered_by_barriers)},
      {"ordered by a warp's barriers", nullptr, sin(ordered_by_warps)},
      {"atomics on shared memory", nullptr, sin(atomics_on_shared)},
      {"threads that end early", nullptr, sin(threads_that_end_early)},
  };
}

void warp_sums(const Tensor& x, Tensor& sums, Tensor& votes) {
  const KernelScope scope(x.device());
  launch("warp_sums", warp_sum_kernel, static_cast<unsigned>(x.numel() / 64), 64, 0,
         input<float>(x), output<float>(sums), output<std::int64_t>(votes));
}

void atomic_sum(const Tensor& x, Tensor& out) {
  const KernelScope scope(x.device());
  launch("atomic_sum", atomic_sum_kernel, 7, 64, 0, x.numel(), input<float>(x), output<float>(out));
}

void reverse_blocks(const Tensor& x, Tensor& out) {
  const KernelScope scope(x.device());
  launch("reverse", reverse_kernel, static_cast<unsigned>(x.numel() / 64), 64, 0, input<float>(x),
         output<float>(out));
}

}  // namespace ebb::test
