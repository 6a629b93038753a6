// Direct convolution (implicit GEMM): every convolution, and every gradient by its input, as
// convolutions of phases, which are pixels at equal steps.
//
// A target pixel of a phase is (first + t * target_step) along each axis, t = 0..count-1, and
// reads the source pixels (t * source_step + tap.offset), one for each tap of the kernel:
//
//   forward, stride 2:   one phase:     y . . . . .     target_step 1, source_step 2,
//                                        /|\ /|\         taps -1, 0, 1
//                                       x x x x x x
//
//   backward, stride 2:  two phases an axis, each with the taps that reach it:
//                        even dx pixels see tap 1, odd ones taps 0 and 2; source_step 1,
//                        target_step 2. No zeros are multiplied and nothing is scattered.
#pragma once

#include <ebb/tensor/cpu/conv/conv_kernels.h>

#include <vector>

namespace ebb::cpu::direct {

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

// One phase of one group. `source`, `target` and `bias` point at the group's first channel.
template <class T>
struct Pass {
  std::int64_t n;
  Axis rows, columns;
  const T* source;
  std::int64_t source_channels, source_stride;  // in the group, in the whole pixel
  T* target;
  std::int64_t target_channels, target_stride, target_height, target_width;
  // The weight of (tap (i, j), source channel c, target channel o) is
  // weight[i * kernel_width + j + c * weight_source + o * weight_target].
  const T* weight;
  std::int64_t kernel_width, kernel_area, weight_source, weight_target;
  const T* bias;
  Activation activation;

  std::int64_t taps() const {
    return static_cast<std::int64_t>(rows.taps.size() * columns.taps.size());
  }
  std::int64_t pixels() const { return n * rows.count * columns.count; }

  T* target_pixel(std::int64_t p) const {
    const std::int64_t h = rows.first + p / columns.count % rows.count * rows.target_step;
    const std::int64_t w = columns.first + p % columns.count * columns.target_step;
    const std::int64_t image = p / (rows.count * columns.count);
    return target + ((image * target_height + h) * target_width + w) * target_stride;
  }
};

// The phases of one group, which differ in their axes alone.
void run(const std::vector<Pass<float>>& passes);
void run(const std::vector<Pass<double>>& passes);

// The same for few target channels (at most 4) and unit steps: every source pixel is multiplied by
// the weights of all taps at once, and each target pixel sums what its taps left there.
//
//    t[pixel] = [tap 0: o o o | tap 1: o o o | ... ]     y[p] = t[p + off 0] + t[p + off 1] + ...
//
// Few channels fill few lanes of a vector; those of all taps together fill two.
bool has_few_outputs(const Pass<float>& pass);
void run_few_outputs(const Pass<float>& pass);

// The same for few source channels (below 16) under taps that are neighbours along W: those under
// a row of taps are one run of numbers (few_inputs.cpp).
bool has_few_inputs(const Pass<float>& pass);
void run_few_inputs(const Pass<float>& pass);

}  // namespace ebb::cpu::direct
