// What the threads of a warp or of a block hold, joined to one value, in an order that the number
// of threads alone fixes.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

namespace ebb::cuda {

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN, if there is one.
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};

// What the lane has whose number differs by `bit`. A struct that is to be reduced has one of its
// own, beside it.
template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
__device__ T shuffle_xor(T value, int bit) {
  return __shfl_xor_sync(0xffffffffu, value, bit);
}

// For all lanes of the warp, in teams of `lanes` neighbours (a power of two); of a team, those that
// lie `apart` (another) from each other are joined. `join` is commutative: all of them get the
// result.
template <class T, class Join>
__device__ T warp_reduce(T value, const Join& join, int lanes = 32, int apart = 1) {
  for (int bit = lanes / 2; bit >= apart; bit /= 2) value = join(value, shuffle_xor(value, bit));
  return value;
}

// For all threads of the block, a line of whole warps: each gets the result. `scratch` is shared
// memory for a value of each warp; the next call may have it again.
template <class T, class Join>
__device__ T block_reduce(T value, const Join& join, T* scratch) {
  value = warp_reduce(value, join);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  value = scratch[0];
  for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) value = join(value, scratch[warp]);
  __syncthreads();
  return value;
}

}  // namespace ebb::cuda
