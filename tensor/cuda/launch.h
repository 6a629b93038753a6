// What every file of kernels here begins with. The files are CUDA for nvcc, and C++ for the
// compiler that builds the tests against an emulated GPU (tests/cuda_emulation); launch() stands
// for <<<>>>, which is no C++.
//
//   template <class T>
//   __global__ void scale(std::int64_t n, const T* x, T a, T* y) {
//     for (std::int64_t i = thread_index(); i < n; i += thread_count()) y[i] = a * x[i];
//   }
//   launch("scale", scale<float>, blocks_for(n), block_threads, 0, n, x, 2.0f, y);
//
// All kernels of a device run one after another, on its one stream: memory that a tensor gives back
// may be handed out again at once, for what comes after.
#pragma once

#include <cuda_runtime.h>
#include <ebb/tensor/backend/backend.h>

#include <cstdint>
#include <utility>

namespace ebb::cuda {

// An Error that names `what` was called, or the kernel, unless `status` is cudaSuccess.
void require(cudaError_t status, const char* what);

// Of the current device.
cudaStream_t stream();
int multiprocessors();

constexpr unsigned block_threads = 256;

// Blocks of block_threads for a loop over n: no more than the device runs at once, each thread
// steps by thread_count().
unsigned blocks_for(std::int64_t n);

// Lets `kernel` have more than the usual 48 KB of shared memory.
template <class... Parameters>
void allow_shared(const char* name, void (*kernel)(Parameters...), std::size_t bytes) {
  if (bytes > 48 << 10)
    require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(bytes)),
            name);
}

// Puts the kernel behind those called before; a grid of no blocks does nothing. `shared` is the
// number of bytes that shared_memory() gives it.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  allow_shared(name, kernel, shared);
  const cudaLaunchConfig_t config{grid, block, shared, stream(), nullptr, 0};
  require(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
}

// ---- In kernels ----

__device__ inline std::int64_t thread_index() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t thread_count() { return std::int64_t{gridDim.x} * blockDim.x; }

extern __shared__ __align__(128) unsigned char shared_bytes[];

// The block's shared memory, as many bytes as its launch asked for.
template <class T>
__device__ T* shared_memory() {
  return reinterpret_cast<T*>(shared_bytes);
}

}  // namespace ebb::cuda
