// The gradient by the bias of a convolution.
#pragma once

#include <cstdint>

namespace ebb::cpu {

// sums[c] = the sum of the channel over all pixels: float64 sums of blocks of fixed size, added
// in order.
template <class T>
void sum_pixels(std::int64_t pixels, std::int64_t channels, const T* dy, T* sums);

}  // namespace ebb::cpu
