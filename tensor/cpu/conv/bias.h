// The gradient by the bias of a convolution, and what comes before it: the fused relu's.
#pragma once

#include <cstdint>

namespace ebb::cpu {

// sums[c] = the sum of the channel over all pixels: float64 sums of blocks of fixed size, added
// in order.
template <class T>
void sum_pixels(std::int64_t pixels, std::int64_t channels, const T* dy, T* sums);

// The same past a relu whose output was y: dy becomes 0 where y is not above 0.
template <class T>
void relu_sum_pixels(std::int64_t pixels, std::int64_t channels, const T* y, T* dy, T* sums);

}  // namespace ebb::cpu
