// Resampling of images: a row of the output is first the weighted sum of input rows, then, pixel
// by pixel, of that row's pixels.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/resize/resample.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/cpu/table.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {

struct MixedRow;

// to = the taps of output `i` of pieces of `size` elements, `size` apart. Returns where it is:
// in `to` or, if `may_alias`, in the source itself where that is the only tap and weighs 1.
template <class T>
const T* mix(const T* from, std::int64_t size, const ResizeWeights& taps, std::int64_t i,
             bool may_alias, T* HWY_RESTRICT to) {
  const auto begin = static_cast<std::size_t>(taps.first[static_cast<std::size_t>(i)]);
  const auto end = static_cast<std::size_t>(taps.first[static_cast<std::size_t>(i) + 1]);
  if (may_alias && end == begin + 1 && taps.weight[begin] == 1)
    return from + taps.source[begin] * size;
  if (begin == end)
    for (std::int64_t c = 0; c < size; ++c) to[c] = T(0);
  for (std::size_t k = begin; k < end; ++k) {
    const T weight = static_cast<T>(taps.weight[k]);
    const T* HWY_RESTRICT source = from + taps.source[k] * size;
    if (k == begin) {
      for (std::int64_t c = 0; c < size; ++c) to[c] = weight * source[c];
    } else {
      for (std::int64_t c = 0; c < size; ++c) to[c] += weight * source[c];
    }
  }
  return to;
}

template <class T>
void resample_row(const Tensor& x, const ResizeWeights& rows, const ResizeWeights& columns,
                  std::int64_t row, Tensor& out) {
  const std::int64_t height = out.size(1), width = out.size(2), channels = x.size(3);
  const std::int64_t x_row = x.size(2) * channels;
  const T* image = input<T>(x) + row / height * x.size(1) * x_row;
  const T* mixed = mix(image, x_row, rows, row % height, true, scratch<MixedRow, T>(x_row));
  T* to = output<T>(out) + row * width * channels;
  for (std::int64_t j = 0; j < width; ++j, to += channels)
    mix(mixed, channels, columns, j, false, to);
}

using ResampleRow = decltype(&resample_row<float>);
ResampleRow find_resample(DType dtype) {
  return dispatch_floating("resample", dtype,
                           [](auto zero) { return resample_row<decltype(zero)>; });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(find_resample);

void resample(const Tensor& x, const ResizeWeights& rows, const ResizeWeights& columns,
              Tensor& out) {
  const auto run = EBB_DISPATCH(find_resample)(x.dtype());
  const std::int64_t size = std::max<std::int64_t>(1, out.size(2) * out.size(3));
  parallel_for(out.size(0) * out.size(1), std::max<std::int64_t>(1, (1 << 14) / size),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) run(x, rows, columns, row, out);
               });
}

}  // namespace

void add_resample_kernels(Kernels& table) { table.resample = resample; }

}  // namespace ebb::cpu
#endif  // HWY_ONCE
