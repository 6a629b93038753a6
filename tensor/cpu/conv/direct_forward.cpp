// A phase's convolution by tiles (register_tile-inl.h): the rows of a tile are target pixels, its
// sources the pixels under their taps, one segment a tap. Nothing is copied.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/direct_forward.cpp"
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
using namespace cpu::HWY_NAMESPACE;

constexpr std::int64_t block_pixels = 8 * tile_rows;
constexpr std::int64_t depth = 512;  // products in one run of sums, about

struct Weights;
struct Zeros;
struct Bias;
struct Sources;
struct Places;

// The weights of all passes: panels of tile_columns target channels, [panel][tap][source
// channel][column], the taps of the first pass first.
template <class T>
struct Packed {
  const T* panels;
  std::int64_t pitch;  // from panel to panel
};

template <class T>
Packed<T> pack_weights(const std::vector<Pass<T>>& passes) {
  constexpr std::int64_t width = tile_columns<T>();
  const Pass<T>& any = passes[0];
  const std::int64_t count = (any.target_channels + width - 1) / width;
  const std::int64_t channels = any.source_channels, area = any.kernel_area;
  const std::int64_t pitch = area * channels * width;
  T* packed = scratch<Weights, T>(count * pitch);
  if (area == 1) {
    parallel_for(count, (1 << 14) / (pitch + 1), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin; j < end; ++j)
        pack_columns(any.weight + j * width * any.weight_target, any.weight_target,
                     any.weight_source, std::min(width, any.target_channels - j * width), channels,
                     packed + j * pitch);
    });
    return {packed, pitch};
  }
  // The taps' weights for one pair of channels lie side by side.
  std::int64_t* places = scratch<Places, std::int64_t>(area);
  std::fill_n(places, area, -1);
  std::int64_t place = 0;
  for (const Pass<T>& pass : passes)
    for (const Tap& row : pass.rows.taps)
      for (const Tap& column : pass.columns.taps)
        places[row.kernel_index * any.kernel_width + column.kernel_index] = place++;
  parallel_for(count * channels, (1 << 14) / (area * width) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t j = i / channels, c = i % channels;
                   const std::int64_t filled = std::min(width, any.target_channels - j * width);
                   T* to = packed + j * pitch + c * width;
                   T unused[width];
                   const auto row = [&](std::int64_t tap) {
                     return places[tap] < 0 ? unused : to + places[tap] * channels * width;
                   };
                   transpose(any.weight + j * width * any.weight_target + c * any.weight_source,
                             any.weight_target, filled, area, row);
                   if (filled < width)
                     for (std::int64_t tap = 0; tap < area; ++tap)
                       std::fill(row(tap) + filled, row(tap) + width, T(0));
                 }
               });
  return {packed, pitch};
}

// Calls visit(p - begin, count, image, row, column) for target pixels p, p + 1, ... of one row
// each.
template <class T, class Visit>
HWY_INLINE void visit_rows(const Pass<T>& pass, std::int64_t begin, std::int64_t end,
                           const Visit& visit) {
  for (std::int64_t p = begin; p < end;) {
    const std::int64_t column = p % pass.columns.count, rows = p / pass.columns.count;
    const std::int64_t count = std::min(end - p, pass.columns.count - column);
    visit(p - begin, count, rows / pass.rows.count, rows % pass.rows.count, column);
    p += count;
  }
}

// Fills sources[tap * block_pixels + pixel].
template <class T>
void find_sources(const Pass<T>& pass, std::int64_t begin, std::int64_t end, const T* zeros,
                  const T** sources) {
  const std::int64_t height = pass.rows.source_size, width = pass.columns.source_size;
  visit_rows(pass, begin, end,
             [&](std::int64_t p, std::int64_t count, std::int64_t image, std::int64_t row,
                 std::int64_t column) {
               const T** to = sources + p;
               for (const Tap& row_tap : pass.rows.taps) {
                 const std::int64_t h = row * pass.rows.source_step + row_tap.offset;
                 const bool inside = h >= 0 && h < height;
                 const T* from = pass.source + (image * height + h) * width * pass.source_stride;
                 for (const Tap& column_tap : pass.columns.taps) {
                   std::int64_t w = column * pass.columns.source_step + column_tap.offset;
                   for (std::int64_t i = 0; i < count; ++i, w += pass.columns.source_step)
                     to[i] = inside && w >= 0 && w < width ? from + w * pass.source_stride : zeros;
                   to += block_pixels;
                 }
               }
             });
}

template <class T>
void find_targets(const Pass<T>& pass, std::int64_t begin, std::int64_t end, T** targets) {
  visit_rows(pass, begin, end, [&](std::int64_t p, std::int64_t count, auto...) {
    T* first = pass.target_pixel(begin + p);
    for (std::int64_t i = 0; i < count; ++i)
      targets[p + i] = first + i * pass.columns.target_step * pass.target_stride;
  });
}

template <class T>
void run_pass(const Pass<T>& pass, const Packed<T>& weights) {
  constexpr std::int64_t width = tile_columns<T>();
  const std::int64_t channels = pass.source_channels, taps = pass.taps();
  const std::int64_t panels = (pass.target_channels + width - 1) / width;
  T* zeros = scratch<Zeros, T>(channels);
  std::fill_n(zeros, channels, T(0));
  T* bias = nullptr;
  if (pass.bias) {
    bias = scratch<Bias, T>(panels * width);
    std::fill(std::copy_n(pass.bias, pass.target_channels, bias), bias + panels * width, T(0));
  }
  const std::int64_t runs = std::max<std::int64_t>(1, (taps * channels + depth / 2) / depth);
  const std::int64_t run = std::max<std::int64_t>(1, (taps + runs - 1) / runs);

  // As many tasks as two, three or four threads can share evenly, unless there is little to do.
  const std::int64_t tasks = ((pass.pixels() + block_pixels - 1) / block_pixels + 11) / 12 * 12;
  const std::int64_t grain = std::max<std::int64_t>(
      2 * tile_rows, (pass.pixels() + tasks - 1) / std::max<std::int64_t>(1, tasks));
  parallel_for(pass.pixels(), grain, [&](std::int64_t begin, std::int64_t end) {
    const T** sources = scratch<Sources, const T*>(std::max<std::int64_t>(1, taps) * block_pixels);
    T *pixels[block_pixels], *targets[tile_rows];
    find_targets(pass, begin, end, pixels);
    find_sources(pass, begin, end, zeros, sources);
    for (std::int64_t s = 0; s == 0 || s < taps; s += run) {
      const bool last = s + run >= taps;
      // The pixels of a tile stay in the first cache while the panels pass by in the second.
      for (std::int64_t p = 0; p < end - begin; p += tile_rows) {
        const std::int64_t rows = std::min<std::int64_t>(tile_rows, end - begin - p);
        for (std::int64_t j = 0; j < panels; ++j) {
          // What comes next is asked for while this is computed.
          const std::int64_t end_row = std::min(p + 2 * tile_rows, end - begin);
          for (std::int64_t t = s; t < std::min(s + run, taps); ++t)
            for (std::int64_t i = p + (p + j == 0 ? 0 : rows) + j; i < end_row; i += panels)
              prefetch(sources[t * block_pixels + i], channels);
          const std::int64_t next = j + 1 < panels ? p : p + rows,
                             column = (j + 1) % panels * width;
          for (std::int64_t i = next; s == 0 && i < std::min(next + tile_rows, end - begin); ++i)
            prefetch(pixels[i] + column, std::min(width, pass.target_channels - column));
          for (std::int64_t i = 0; i < rows; ++i) targets[i] = pixels[p + i] + j * width;
          multiply_tile(
              Tile<T>{std::min(run, taps - s), channels, sources + s * block_pixels + p,
                      block_pixels, 1, weights.panels + j * weights.pitch + s * channels * width,
                      width, targets, std::min(width, pass.target_channels - j * width), s > 0,
                      last && bias ? bias + j * width : nullptr,
                      last ? pass.activation : Activation::none},
              0, rows);
        }
      }
    }
  });
}

template <class T>
void run_target(const std::vector<Pass<T>>& passes) {
  if (passes.empty()) return;
  Packed<T> weights = pack_weights(passes);
  for (const Pass<T>& pass : passes) {
    run_pass(pass, weights);
    weights.panels += pass.taps() * pass.source_channels * tile_columns<T>();
  }
}

void run_float(const std::vector<Pass<float>>& passes) { run_target(passes); }
void run_double(const std::vector<Pass<double>>& passes) { run_target(passes); }

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::direct
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::direct {

HWY_EXPORT(run_float);
HWY_EXPORT(run_double);

void run(const std::vector<Pass<float>>& passes) { EBB_DISPATCH(run_float)(passes); }
void run(const std::vector<Pass<double>>& passes) { EBB_DISPATCH(run_double)(passes); }

}  // namespace ebb::cpu::direct
#endif
