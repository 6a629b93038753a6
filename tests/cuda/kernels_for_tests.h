// Kernels that do what the emulated GPU must do right, or must tell (kernels_for_tests.cu).
#pragma once

#include <ebb/tensor/tensor.h>

#include <functional>
#include <vector>

namespace ebb::test {

// One launch of 2 blocks of 64 threads over `x`, float32 with at least 256 elements on the GPU.
struct Sin {
  const char* name;
  const char* told;  // a part of the Error, or null: it is none
  std::function<void(const Tensor& x)> run;
};
std::vector<Sin> sins();

// out[i] = the sum of the 32 values of i's warp, by shuffles; the number of positive ones by votes.
void warp_sums(const Tensor& x, Tensor& sums, Tensor& votes);
// The sum of all, whole numbers, by atomicAdd into out[0]; the largest into out[1].
void atomic_sum(const Tensor& x, Tensor& out);
// Each block reverses its 64 elements through shared memory.
void reverse_blocks(const Tensor& x, Tensor& out);

}  // namespace ebb::test
