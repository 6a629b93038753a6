// A lattice's convolution by tiles (tile-inl.h): the rows of a tile are target pixels, its sources
// the pixels under their taps, one segment a tap. Nothing is copied; only where pixels have few
// channels are those under the taps gathered side by side, so that segments are not too short.
#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv_lattice_run.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/conv_lattice.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/tile-inl.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::lattice {
namespace HWY_NAMESPACE {
using namespace cpu::HWY_NAMESPACE;

constexpr std::int64_t block_pixels = 8 * tile_rows;
constexpr std::int64_t few_channels = 16;
constexpr std::int64_t depth = 512;  // products in one run of sums, about

struct Weights;
struct Zeros;
struct Bias;
struct Gathered;
struct Sources;

// Panels of tile_columns target channels: [panel][tap][source channel][column].
template <class T>
const T* pack_weights(const Pass<T>& pass) {
  constexpr std::int64_t width = tile_columns<T>();
  const std::int64_t panels = (pass.target_channels + width - 1) / width;
  const std::int64_t channels = pass.source_channels, taps = pass.taps();
  T* packed = scratch<Weights, T>(panels * taps * channels * width);
  parallel_for(
      panels * taps, (1 << 14) / (channels * width + 1), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int64_t first = t / taps * width, tap = t % taps;
          const auto across = static_cast<std::int64_t>(pass.columns.taps.size());
          const Tap& row = pass.rows.taps[static_cast<std::size_t>(tap / across)];
          const Tap& column = pass.columns.taps[static_cast<std::size_t>(tap % across)];
          const std::int64_t position = row.kernel_index * pass.kernel_width + column.kernel_index;
          pack_columns(pass.weight + position + first * pass.weight_target, pass.weight_target,
                       pass.weight_source, std::min(width, pass.target_channels - first), channels,
                       packed + t * channels * width);
        }
      });
  return packed;
}

// Calls visit(p - begin, tap, pixel) for target pixels and taps in order; pixel is the source under
// the tap, null outside the image.
template <class T, class Visit>
HWY_INLINE void visit_sources(const Pass<T>& pass, std::int64_t begin, std::int64_t end,
                              const Visit& visit) {
  const std::int64_t height = pass.rows.source_size, width = pass.columns.source_size;
  std::int64_t column = begin % pass.columns.count;
  std::int64_t row = begin / pass.columns.count % pass.rows.count;
  const T* image = pass.source + begin / (pass.columns.count * pass.rows.count) * height * width *
                                     pass.source_stride;
  for (std::int64_t p = 0; p < end - begin; ++p) {
    const std::int64_t top = row * pass.rows.source_step;
    const std::int64_t left = column * pass.columns.source_step;
    std::int64_t tap = 0;
    for (const Tap& row_tap : pass.rows.taps) {
      const std::int64_t h = top + row_tap.offset;
      const bool inside = h >= 0 && h < height;
      for (const Tap& column_tap : pass.columns.taps) {
        const std::int64_t w = left + column_tap.offset;
        visit(
            p, tap++,
            inside && w >= 0 && w < width ? image + (h * width + w) * pass.source_stride : nullptr);
      }
    }
    if (++column < pass.columns.count) continue;
    column = 0;
    if (++row < pass.rows.count) continue;
    row = 0;
    image += height * width * pass.source_stride;
  }
}

// gathered[p][tap][channel], zeros outside the image, for pixels of `channels` values (0: of
// pass.source_channels).
template <int channels, class T>
void gather(const Pass<T>& pass, std::int64_t begin, std::int64_t end, T* gathered) {
  const std::int64_t count = channels == 0 ? pass.source_channels : channels;
  visit_sources(pass, begin, end, [&](std::int64_t, std::int64_t, const T* pixel) {
    for (std::int64_t c = 0; c < count; ++c) gathered[c] = pixel ? pixel[c] : T(0);
    gathered += count;
  });
}

// Fills sources[segment * block_pixels + pixel].
template <class T>
void find_sources(const Pass<T>& pass, std::int64_t begin, std::int64_t end, const T* zeros,
                  const T** sources) {
  const std::int64_t channels = pass.source_channels, depth = pass.taps() * channels;
  if (channels >= few_channels) {
    visit_sources(pass, begin, end, [&](std::int64_t p, std::int64_t tap, const T* pixel) {
      sources[tap * block_pixels + p] = pixel ? pixel : zeros;
    });
    return;
  }
  T* gathered = scratch<Gathered, T>(block_pixels * depth);
  for (std::int64_t p = 0; p < end - begin; ++p) sources[p] = gathered + p * depth;
  if (channels == 1)
    gather<1>(pass, begin, end, gathered);
  else if (channels == 3)
    gather<3>(pass, begin, end, gathered);
  else
    gather<0>(pass, begin, end, gathered);
}

template <class T>
void run_target(const Pass<T>& pass) {
  constexpr std::int64_t width = tile_columns<T>();
  const std::int64_t channels = pass.source_channels, taps = pass.taps();
  const std::int64_t panels = (pass.target_channels + width - 1) / width;
  const T* weights = pack_weights(pass);
  T* zeros = scratch<Zeros, T>(channels);
  std::fill_n(zeros, channels, T(0));
  T* bias = nullptr;
  if (pass.bias) {
    bias = scratch<Bias, T>(panels * width);
    std::fill(std::copy_n(pass.bias, pass.target_channels, bias), bias + panels * width, T(0));
  }
  const bool gathered = channels < few_channels;
  const std::int64_t length = gathered ? taps * channels : channels;
  const std::int64_t segments = gathered ? 1 : taps;
  const std::int64_t run = std::max<std::int64_t>(1, depth / std::max<std::int64_t>(1, length));

  parallel_for(pass.pixels(), block_pixels, [&](std::int64_t begin, std::int64_t end) {
    const T** sources = scratch<Sources, const T*>(std::max<std::int64_t>(1, taps) * block_pixels);
    T *pixels[block_pixels], *targets[block_pixels];
    for (std::int64_t p = begin; p < end; ++p) pixels[p - begin] = pass.target_pixel(p);
    find_sources(pass, begin, end, zeros, sources);
    for (std::int64_t s = 0; s == 0 || s < segments; s += run)
      for (std::int64_t j = 0; j < panels; ++j) {
        for (std::int64_t p = 0; p < end - begin; ++p) targets[p] = pixels[p] + j * width;
        const bool last = s + run >= segments;
        multiply_tile(Tile<T>{std::min(run, segments - s), length, sources + s * block_pixels,
                              block_pixels, 1, weights + (j * taps * channels + s * length) * width,
                              width, targets, std::min(width, pass.target_channels - j * width),
                              s > 0, last && bias ? bias + j * width : nullptr,
                              last ? pass.activation : Activation::none},
                      0, end - begin);
      }
  });
}

void run_float(const Pass<float>& pass) { run_target(pass); }
void run_double(const Pass<double>& pass) { run_target(pass); }

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::lattice
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::lattice {

HWY_EXPORT(run_float);
HWY_EXPORT(run_double);

void run(const Pass<float>& pass) { EBB_DISPATCH(run_float)(pass); }
void run(const Pass<double>& pass) { EBB_DISPATCH(run_double)(pass); }

}  // namespace ebb::cpu::lattice
#endif
