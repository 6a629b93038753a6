// What the rows of a block of columns by rows have, together.
#pragma once

#include <cuda_runtime.h>

namespace ebb::cuda {

// Combines what the threads of a column (of one threadIdx.x) have, by a tree over the rows that
// their number alone decides; all get it. `shared` has a place for each thread.
template <class Value, class Combine>
__device__ Value over_rows(Value mine, Value* shared, const Combine& combine) {
  const unsigned place = threadIdx.y * blockDim.x + threadIdx.x;
  shared[place] = mine;
  for (unsigned left = blockDim.y; left > 1;) {
    const unsigned half = (left + 1) / 2;
    __syncthreads();
    if (threadIdx.y + half < left)
      shared[place] = combine(shared[place], shared[place + half * blockDim.x]);
    left = half;
  }
  __syncthreads();
  const Value all = shared[threadIdx.x];
  __syncthreads();  // the places may be written again
  return all;
}

}  // namespace ebb::cuda
