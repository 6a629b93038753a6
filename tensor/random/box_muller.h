// Uniform numbers to normal ones (Box & Muller 1958).
#pragma once

#include <cstdint>

namespace ebb {

// In place, in blocks of 16 (`count` is a multiple): for j < 8, u1 = 1 - d[j], u2 = d[j + 8],
//   d[j] = sqrt(-2 ln u1) cos(2 pi u2),  d[j + 8] = sqrt(-2 ln u1) sin(2 pi u2).
// The values must lie in [0, 1). The order is that of PyTorch's CPU stream; float32 results are
// within 2 units in the last place of their radius, the same bits on every processor.
void box_muller(float* data, std::int64_t count);
void box_muller(double* data, std::int64_t count);

}  // namespace ebb
