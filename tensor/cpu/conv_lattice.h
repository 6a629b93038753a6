// Every convolution, and every gradient by its input, as convolutions on lattices of pixels.
//
// A target pixel of a lattice is (first + t * target_step) along each axis, t = 0..count-1, and
// reads the source pixels (t * source_step + tap.offset), one for each tap of the kernel:
//
//   forward, stride 2:   one lattice:   y . . . . .     target_step 1, source_step 2,
//                                        /|\ /|\         taps -1, 0, 1
//                                       x x x x x x
//
//   backward, stride 2:  two lattices ("phases") an axis, each with the taps that reach it:
//                        even dx pixels see tap 1, odd ones taps 0 and 2; source_step 1,
//                        target_step 2. No zeros are multiplied and nothing is scattered.
#pragma once

#include <ebb/tensor/cpu/conv.h>

#include <vector>

namespace ebb::cpu::lattice {

struct Tap {
  std::int64_t kernel_index, offset;
};

struct Axis {
  std::int64_t count, first, target_step, source_step, source_size;
  std::vector<Tap> taps;
};

// Axis 0 is H, 1 is W. A convolution's gradient has `stride` phases an axis, of which some may be
// empty (count 0) and some may have no taps (the gradient is 0 there).
Axis forward_axis(const ConvGeometry& g, int axis);
std::vector<Axis> backward_axes(const ConvGeometry& g, int axis);

// to[tap][channel] for one target pixel (row, column) of an image: the source pixels under the
// taps, zeros outside. `image` points at the first of `channels` in a pixel of `stride` values.
template <class T>
void gather(const Axis& rows, const Axis& columns, std::int64_t row, std::int64_t column,
            const T* image, std::int64_t channels, std::int64_t stride, T* to);

}  // namespace ebb::cpu::lattice
