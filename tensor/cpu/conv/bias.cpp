// Plain loops, compiled for every instruction set.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/bias.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/conv/bias.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

constexpr std::int64_t run_rows = 32;
struct Run;

// run[i] += dy[i]
template <class T>
void add_values(std::int64_t count, const T* __restrict dy, T* __restrict run) {
  for (std::int64_t i = 0; i < count; ++i) run[i] += dy[i];
}

// The same past a relu.
template <class T>
void add_values_past_relu(std::int64_t count, const T* __restrict y, T* __restrict dy,
                          T* __restrict run) {
  for (std::int64_t i = 0; i < count; ++i) {
    dy[i] = y[i] <= 0 ? T(0) : dy[i];  // a NaN passes, as in relu
    run[i] += dy[i];
  }
}

// Calls add(at, count, run) for the values of pixels begin..end, those of several pixels in a row,
// and adds the runs to total[c].
template <class T, class Add>
void add_runs(std::int64_t begin, std::int64_t end, std::int64_t channels, const Add& add,
              double* total) {
  const std::int64_t together = 1024 / std::clamp<std::int64_t>(channels, 1, 1024);
  const std::int64_t row = channels * together, last = end * channels;
  T* run = scratch<Run, T>(row);
  for (std::int64_t at = begin * channels; at < last;) {
    std::fill_n(run, row, T(0));
    for (std::int64_t i = 0; i < run_rows && at < last; ++i, at += row)
      add(at, std::min(row, last - at), run);
    for (std::int64_t i = 0; i < together; ++i)
      for (std::int64_t c = 0; c < channels; ++c)
        total[c] += static_cast<double>(run[i * channels + c]);
  }
}

template <class T>
void add_pixels(std::int64_t begin, std::int64_t end, std::int64_t channels, const void* values,
                double* total) {
  const T* dy = static_cast<const T*>(values);
  add_runs<T>(
      begin, end, channels,
      [=](std::int64_t at, std::int64_t count, T* run) { add_values(count, dy + at, run); }, total);
}

template <class T>
void add_pixels_past_relu(std::int64_t begin, std::int64_t end, std::int64_t channels,
                          const void* outputs, void* values, double* total) {
  const T* y = static_cast<const T*>(outputs);
  T* dy = static_cast<T*>(values);
  add_runs<T>(
      begin, end, channels,
      [=](std::int64_t at, std::int64_t count, T* run) {
        add_values_past_relu(count, y + at, dy + at, run);
      },
      total);
}

auto find_add_pixels(bool single) { return single ? add_pixels<float> : add_pixels<double>; }
auto find_add_pixels_past_relu(bool single) {
  return single ? add_pixels_past_relu<float> : add_pixels_past_relu<double>;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(find_add_pixels);
HWY_EXPORT(find_add_pixels_past_relu);

constexpr std::int64_t block_pixels = 2048;
struct Partial;

// sums[c] of blocks: add(begin, end, total) adds pixels begin..end to total[c].
template <class T, class Add>
void sum_blocks(std::int64_t pixels, std::int64_t channels, const Add& add, T* sums) {
  const std::int64_t blocks = (pixels + block_pixels - 1) / block_pixels;
  double* partial = scratch<Partial, double>(blocks * channels);
  std::fill_n(partial, blocks * channels, 0.0);
  parallel_for(pixels, block_pixels, [&](std::int64_t begin, std::int64_t end) {
    add(begin, end, partial + begin / block_pixels * channels);
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (std::int64_t b = 0; b < blocks; ++b) total += partial[b * channels + c];
    sums[c] = static_cast<T>(total);
  }
}

}  // namespace

template <class T>
void sum_pixels(std::int64_t pixels, std::int64_t channels, const T* dy, T* sums) {
  const auto add = EBB_DISPATCH(find_add_pixels)(sizeof(T) == sizeof(float));
  sum_blocks(
      pixels, channels,
      [&](std::int64_t begin, std::int64_t end, double* total) {
        add(begin, end, channels, dy, total);
      },
      sums);
}

template <class T>
void relu_sum_pixels(std::int64_t pixels, std::int64_t channels, const T* y, T* dy, T* sums) {
  const auto add = EBB_DISPATCH(find_add_pixels_past_relu)(sizeof(T) == sizeof(float));
  sum_blocks(
      pixels, channels,
      [&](std::int64_t begin, std::int64_t end, double* total) {
        add(begin, end, channels, y, dy, total);
      },
      sums);
}

#define EBB_INSTANTIATE(T)                                            \
  template void sum_pixels(std::int64_t, std::int64_t, const T*, T*); \
  template void relu_sum_pixels(std::int64_t, std::int64_t, const T*, T*, T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

}  // namespace ebb::cpu
#endif
