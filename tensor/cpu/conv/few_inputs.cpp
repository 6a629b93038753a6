// A phase's convolution where source pixels have few channels: those under a row of taps lie
// side by side, so that a tile (register_tile-inl.h) has one segment for each row of taps.
//
//   a row of the source, copied   0 0 0 c c c c c c c c c c c c 0 0 0
//   with zeros around             \_______________/                     target pixel 0
//                                       \_______________/               target pixel 1, a step on
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/few_inputs.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/register_tile-inl.h>
#include <ebb/tensor/cpu/conv/direct.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::direct {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names
using namespace cpu::HWY_NAMESPACE;

struct Weights;
struct Bias;
struct Rows;
struct Sources;

constexpr std::int64_t width = tile_columns<float>();
constexpr std::int64_t task_pixels = 16 * tile_rows;  // of a task

// Panels of `width` target channels: [panel][tap][source channel][column].
const float* pack_weights(const Pass<float>& pass, std::int64_t panels) {
  float* packed = scratch<Weights, float>(panels * pass.taps() * pass.source_channels * width);
  float* to = packed;
  for (std::int64_t first = 0; first < pass.target_channels; first += width) {
    const std::int64_t count = std::min(width, pass.target_channels - first);
    for (const Tap& row : pass.rows.taps)
      for (const Tap& column : pass.columns.taps) {
        const float* from = pass.weight + row.kernel_index * pass.kernel_width +
                            column.kernel_index + first * pass.weight_target;
        pack_columns(from, pass.weight_target, pass.weight_source, count, pass.source_channels, to);
        to += pass.source_channels * width;
      }
  }
  return packed;
}

// to[w][channel]: `count` pixels of a row of an image from `left` on, zeros outside.
void copy_row(const Pass<float>& pass, std::int64_t image, std::int64_t row, std::int64_t left,
              std::int64_t count, float* to) {
  const std::int64_t channels = pass.source_channels, size = pass.columns.source_size;
  const bool inside = row >= 0 && row < pass.rows.source_size;
  const std::int64_t first = inside ? std::clamp<std::int64_t>(-left, 0, count) : count;
  const std::int64_t last = std::clamp(size - left, first, count);
  to = std::fill_n(to, first * channels, 0.0f);
  if (first < last) {
    const std::int64_t pixel = (image * pass.rows.source_size + row) * size + left + first;
    const float* from = pass.source + pixel * pass.source_stride;
    if (pass.source_stride == channels) {
      to = std::copy_n(from, (last - first) * channels, to);
    } else {
      for (std::int64_t w = first; w < last; ++w, from += pass.source_stride)
        to = std::copy_n(from, channels, to);
    }
  }
  std::fill_n(to, (count - last) * channels, 0.0f);
}

void few_inputs_target(const Pass<float>& pass) {
  const Axis &rows = pass.rows, &columns = pass.columns;
  const auto row_taps = static_cast<std::int64_t>(rows.taps.size());
  const auto column_taps = static_cast<std::int64_t>(columns.taps.size());
  const std::int64_t channels = pass.source_channels, step = columns.source_step;
  const std::int64_t panels = (pass.target_channels + width - 1) / width;
  const float* weights = pack_weights(pass, panels);
  float* bias = nullptr;
  if (pass.bias) {
    bias = scratch<Bias, float>(panels * width);
    std::fill(std::copy_n(pass.bias, pass.target_channels, bias), bias + panels * width, 0.0f);
  }
  parallel_for(pass.pixels(), task_pixels, [&](std::int64_t begin, std::int64_t end) {
    float* copied = scratch<Rows, float>(task_pixels * row_taps * (step + column_taps) * channels);
    const float** sources = scratch<Sources, const float*>(task_pixels * row_taps);
    float *pixels[task_pixels], *targets[task_pixels];
    for (std::int64_t p = begin, count; p < end; p += count) {
      const std::int64_t column = p % columns.count, row = p / columns.count % rows.count;
      count = std::min(end - p, columns.count - column);
      float* target = pass.target_pixel(p);
      for (std::int64_t k = 0; k < count; ++k)
        pixels[p - begin + k] = target + k * columns.target_step * pass.target_stride;
      const std::int64_t length = (count - 1) * step + column_taps;
      for (std::int64_t i = 0; i < row_taps; ++i, copied += length * channels) {
        copy_row(pass, p / (columns.count * rows.count),
                 row * rows.source_step + rows.taps[static_cast<std::size_t>(i)].offset,
                 column * step + columns.taps[0].offset, length, copied);
        for (std::int64_t k = 0; k < count; ++k)
          sources[i * task_pixels + p - begin + k] = copied + k * step * channels;
      }
    }
    for (std::int64_t j = 0; j < panels; ++j) {
      for (std::int64_t p = 0; p < end - begin; ++p) targets[p] = pixels[p] + j * width;
      multiply_tile(Tile<float>{row_taps, column_taps * channels, sources, task_pixels, 1,
                                weights + j * pass.taps() * channels * width, width, targets,
                                std::min(width, pass.target_channels - j * width), false,
                                bias ? bias + j * width : nullptr, pass.activation},
                    0, end - begin);
    }
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::direct
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::direct {

namespace {

HWY_EXPORT(few_inputs_target);

// With the taps along W in the order of their pixels: a gradient's come last first.
Pass<float> sorted(Pass<float> pass) {
  std::vector<Tap>& taps = pass.columns.taps;
  std::sort(taps.begin(), taps.end(),
            [](const Tap& a, const Tap& b) { return a.offset < b.offset; });
  return pass;
}

}  // namespace

bool has_few_inputs(const Pass<float>& pass) {
  const std::vector<Tap> taps = sorted(pass).columns.taps;
  for (std::size_t j = 1; j < taps.size(); ++j)
    if (taps[j].offset != taps[j - 1].offset + 1) return false;
  return pass.source_channels < 16 && pass.taps() > 0;
}

void run_few_inputs(const Pass<float>& pass) { EBB_DISPATCH(few_inputs_target)(sorted(pass)); }

}  // namespace ebb::cpu::direct
#endif
