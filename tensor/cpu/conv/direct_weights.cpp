// The gradient by the weights of any convolution: dw[tap][c][o] = sum over the pixels p of y of
// x[p's pixel under the tap][c] dy[p][o], by tiles (register_tile-inl.h) whose rows are input
// channels and whose k is p.
//
//   dy, some rows of images                the rows of x under them, copied with zeros around
//   +------------------+                   0 0 0 0 0 0 0 0 0 0 0 0
//   | p  p  p  p  p  p |  one segment      0 c  c  c  c  c  c  c 0   a tap's sources start at its
//   | p  p  p  p  p  p |  a row            0 c  c  c  c  c  c  c 0   own corner and step from
//   +------------------+                   0 0 0 0 0 0 0 0 0 0 0 0   pixel to pixel
//
// A task has a block of input channels, whose sums the second cache holds, and a part of the
// images; both are cut by sizes alone. The parts' sums are added in order.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/direct_weights.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/register_tile-inl.h>
#include <ebb/tensor/cpu/conv/bias.h>
#include <ebb/tensor/cpu/conv/direct.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::direct {
namespace HWY_NAMESPACE {
using namespace cpu::HWY_NAMESPACE;

constexpr std::int64_t chunk_pixels = 256;
constexpr std::int64_t block_bytes = 384 * 1024;  // of sums
constexpr std::int64_t wanted_tasks = 16;

struct Copied;
struct Panels;
struct Partial;
struct PartialBias;
struct Run;
struct Tables;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// What is summed together: `pixels` of dy from its pixel `first` on, of `rows` rows (from `row` on)
// of each of some images.
struct Chunk {
  std::int64_t image, images, row, rows, first, pixels;
};

// One group of one convolution.
template <class T>
struct Gradient {
  static constexpr std::int64_t width = tile_columns<T>(), line = 64 / sizeof(T);

  const ConvGeometry& g;
  const T *dy, *x;  // at the group's first channel
  std::int64_t in, out, area;
  std::int64_t pitch;                     // of a row of sums
  std::int64_t block, blocks;             // input channels of a task
  std::int64_t chunk_rows, chunk_images;  // of dy, that are copied together
  std::int64_t chunks_an_image, chunks;
  std::int64_t copied_h, copied_w, step;  // size of an image's copy, from pixel to pixel

  explicit Gradient(const ConvGeometry& geometry, std::int64_t group, const T* all_dy,
                    const T* all_x)
      : g(geometry),
        dy(all_dy + group * geometry.group_out()),
        x(all_x + group * geometry.group_in()),
        in(geometry.group_in()),
        out(geometry.group_out()),
        area(geometry.kernel[0] * geometry.kernel[1]),
        pitch(divide_up(out, width) * width + 16),
        chunk_rows(std::clamp<std::int64_t>(chunk_pixels / g.wo, 1, g.ho)),
        chunk_images(std::clamp<std::int64_t>(chunk_pixels / (g.ho * g.wo), 1, g.n)),
        chunks_an_image(divide_up(g.ho, chunk_rows)),
        chunks(divide_up(g.n, chunk_images) * chunks_an_image),
        copied_h((chunk_rows - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1),
        copied_w((g.wo - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1) {
    const std::int64_t row_bytes = area * pitch * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t fitting = std::max<std::int64_t>(1, block_bytes / row_bytes / tile_rows);
    block = std::min(in, fitting * tile_rows);
    blocks = divide_up(in, block);
    // An odd number of cache lines: pixels a power of two apart would share a few lines.
    step = block < line ? block : (divide_up(block, line) | 1) * line;
  }

  std::int64_t sums() const { return area * block * pitch; }

  Chunk chunk(std::int64_t i) const {
    Chunk c;
    c.image = i / chunks_an_image * chunk_images;
    c.images = std::min(chunk_images, g.n - c.image);
    c.row = i % chunks_an_image * chunk_rows;
    c.rows = std::min(chunk_rows, g.ho - c.row);
    c.first = (c.image * g.ho + c.row) * g.wo;
    c.pixels = c.images * c.rows * g.wo;
    return c;
  }

  // Adds (or writes, the first time) one chunk's products of `count` channels from `first` on to
  // sums[(tap * count + c) * pitch + o].
  void add_chunk(const Chunk& c, std::int64_t first, std::int64_t count, bool add, T* sums) const {
    // Copying pays where what is copied is used often, and where vectors would reach past a pixel.
    const std::int64_t rows = area * count;
    const T* panels = dy + c.first * g.co;
    std::int64_t panel_pitch = width, panel_step = g.co;
    if (rows > 16 * tile_rows || out % lanes<T>() != 0) {
      panels = pack_panels(panels, c.pixels);
      panel_pitch = c.pixels * width, panel_step = width;
    }
    // Nor need x be copied where no tap falls outside.
    const T* corner = x + (c.image * g.h + c.row * g.stride[0]) * g.w * g.ci + first;
    std::int64_t source_step = g.ci, source_row = g.w * g.ci, source_image = g.h * source_row;
    if (g.padding != Pair{0, 0}) {
      source_step = step, source_row = copied_w * step, source_image = copied_h * source_row;
      T* copied = scratch<Copied, T>(c.images * source_image);
      for (std::int64_t i = 0; i < c.images; ++i)
        copy(c.image + i, c.row, c.rows, first, count, copied + i * source_image);
      corner = copied;
    } else if (count == g.ci) {  // tiles read it in another order than it comes
      for (std::int64_t i = 0; i < c.images * c.rows; ++i)
        prefetch(corner + i / c.rows * source_image + i % c.rows * g.stride[0] * source_row,
                 source_row);
    }

    const std::int64_t segments = c.images * c.rows;
    const T** sources = scratch<Tables, const T*>(segments * tile_rows);
    T* targets[tile_rows];
    for (std::int64_t r = 0; r < rows; r += tile_rows) {
      const std::int64_t tile = std::min<std::int64_t>(tile_rows, rows - r);
      for (std::int64_t i = 0; i < tile; ++i) {
        const std::int64_t tap = (r + i) / count, down = tap / g.kernel[1] * g.dilation[0];
        const T* start = corner + down * source_row +
                         tap % g.kernel[1] * g.dilation[1] * source_step + (r + i) % count;
        const T** to = sources + i;
        for (std::int64_t image = 0; image < c.images; ++image)
          for (std::int64_t row = 0; row < c.rows; ++row, to += tile_rows)
            *to = start + image * source_image + row * g.stride[0] * source_row;
      }
      // The pixels stay in the first cache while the panels pass by in the second.
      for (std::int64_t o = 0; o < out; o += width) {
        for (std::int64_t i = 0; i < tile; ++i) targets[i] = sums + (r + i) * pitch + o;
        multiply_tile(
            Tile<T>{segments, g.wo, sources, tile_rows, g.stride[1] * source_step,
                    panels + o / width * panel_pitch, panel_step, targets,
                    out - o > lanes<T>() ? width : lanes<T>(), add, nullptr, Activation::none},
            0, tile);
      }
    }
  }

  const T* pack_panels(const T* pixel, std::int64_t pixels) const {
    T* panels = scratch<Panels, T>(divide_up(out, width) * width * pixels);
    for (std::int64_t o = 0; o < out; o += width)
      pack_columns(pixel + o, 1, g.co, std::min(width, out - o), pixels, panels + o * pixels);
    return panels;
  }

  // The rows of x under `rows` rows of y, with zeros around.
  void copy(std::int64_t image, std::int64_t row, std::int64_t rows, std::int64_t first_channel,
            std::int64_t count, T* to) const {
    const std::int64_t top = row * g.stride[0] - g.padding[0], left = -g.padding[1];
    const std::int64_t height = (rows - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1;
    for (std::int64_t h = top; h < top + height; ++h) {
      const bool inside = h >= 0 && h < g.h;
      const std::int64_t first = inside ? std::clamp<std::int64_t>(-left, 0, copied_w) : copied_w;
      const std::int64_t last = std::clamp(g.w - left, first, copied_w);
      to = std::fill_n(to, first * step, T(0));
      if (first < last) {
        const T* from = x + ((image * g.h + h) * g.w + left + first) * g.ci + first_channel;
        if (step == g.ci && count == g.ci) {
          to = std::copy_n(from, (last - first) * step, to);
        } else {
          for (std::int64_t w = first; w < last; ++w, from += g.ci, to += step)
            for (std::int64_t c = 0; c < count; ++c) to[c] = from[c];
        }
      }
      to = std::fill_n(to, (copied_w - last) * step, T(0));
    }
  }

  // sums[o] += a chunk's pixels: runs of T, added in float64.
  void add_bias(const Chunk& c, double* sums) const {
    constexpr std::int64_t length = 32;
    T* run = scratch<Run, T>(out);
    for (std::int64_t p = 0; p < c.pixels; p += length) {
      std::fill_n(run, out, T(0));
      for (std::int64_t q = p; q < std::min(c.pixels, p + length); ++q) {
        const T* pixel = dy + (c.first + q) * g.co;
        for (std::int64_t o = 0; o < out; ++o) run[o] += pixel[o];
      }
      for (std::int64_t o = 0; o < out; ++o) sums[o] += static_cast<double>(run[o]);
    }
  }

  // The gradients of channels begin..end of a block of `count` from its parts' sums.
  void add_parts(T* partial, std::int64_t parts, std::int64_t count, std::int64_t begin,
                 std::int64_t end, T* to) const {
    for (std::int64_t tap = 0; tap < area; ++tap)
      for (std::int64_t c = begin; c < end; ++c) {
        T* total = partial + (tap * count + c) * pitch;
        for (std::int64_t p = 1; p < parts; ++p)
          for (std::int64_t o = 0; o < out; ++o) total[o] += total[p * sums() + o];
      }
    for (std::int64_t c = begin; c < end; ++c)
      transpose(partial + c * pitch, count * pitch, area, out,
                [&](std::int64_t o) { return to + (o * in + c) * area; });
  }
};

template <class T>
void weights_target(const ConvGeometry& g, const T* dy, const T* x, T* dw, T* db) {
  const std::int64_t area = g.kernel[0] * g.kernel[1];
  const std::int64_t size = g.co * g.group_in() * area;
  if (g.n * g.ho * g.wo == 0 || size == 0) {
    std::fill_n(dw, size, T(0));
    if (db) sum_pixels(g.n * g.ho * g.wo, g.co, dy, db);
    return;
  }
  for (std::int64_t group = 0; group < g.groups; ++group) {
    const Gradient<T> gradient(g, group, dy, x);
    const std::int64_t block = gradient.block, blocks = gradient.blocks, chunks = gradient.chunks;
    const std::int64_t part = divide_up(chunks, divide_up(wanted_tasks, blocks));
    const std::int64_t parts = divide_up(chunks, part), out = gradient.out;
    T* partial = scratch<Partial, T>(blocks * parts * gradient.sums());
    double* bias = scratch<PartialBias, double>(parts * out);
    std::fill_n(bias, parts * out, 0.0);
    parallel_for(blocks * parts, 1, [&](std::int64_t task, std::int64_t) {
      const std::int64_t first = task / parts * block, begin = task % parts * part;
      for (std::int64_t c = begin; c < std::min(chunks, begin + part); ++c) {
        if (db && first == 0) gradient.add_bias(gradient.chunk(c), bias + task * out);
        gradient.add_chunk(gradient.chunk(c), first, std::min(block, gradient.in - first),
                           c > begin, partial + task * gradient.sums());
      }
    });
    T* to = dw + group * out * gradient.in * area;
    constexpr std::int64_t grain = 16;
    const std::int64_t pieces = divide_up(block, grain);
    parallel_for(blocks * pieces, 1, [&](std::int64_t i, std::int64_t) {
      const std::int64_t first = i / pieces * block, begin = i % pieces * grain;
      const std::int64_t count = std::min(block, gradient.in - first);
      gradient.add_parts(partial + i / pieces * parts * gradient.sums(), parts, count,
                         std::min(begin, count), std::min(begin + grain, count), to + first * area);
    });
    for (std::int64_t o = 0; db && o < out; ++o) {
      double total = 0;
      for (std::int64_t p = 0; p < parts; ++p) total += bias[p * out + o];
      db[group * out + o] = static_cast<T>(total);
    }
  }
}

void weights_float(const ConvGeometry& g, const float* dy, const float* x, float* dw, float* db) {
  weights_target(g, dy, x, dw, db);
}
void weights_double(const ConvGeometry& g, const double* dy, const double* x, double* dw,
                    double* db) {
  weights_target(g, dy, x, dw, db);
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::direct
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::direct {

HWY_EXPORT(weights_float);
HWY_EXPORT(weights_double);

namespace {

void dispatch(const ConvGeometry& g, const float* dy, const float* x, float* dw, float* db) {
  EBB_DISPATCH(weights_float)(g, dy, x, dw, db);
}
void dispatch(const ConvGeometry& g, const double* dy, const double* x, double* dw, double* db) {
  EBB_DISPATCH(weights_double)(g, dy, x, dw, db);
}

struct Turned;

// With steps of one pixel, the sum over p of x[p + tap] dy[p] is the sum over q of dy[q - tap]
// x[q]: x and dy can change places, so that the one with more channels fills the vectors.
template <class T>
void turned(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  ConvGeometry t{g.n, g.ho, g.wo, g.co, g.h, g.w, g.ci, g.kernel, g.stride, {}, g.dilation, 1};
  for (int axis : {0, 1})
    t.padding[axis] = (g.kernel[axis] - 1) * g.dilation[axis] - g.padding[axis];
  const std::int64_t area = g.kernel[0] * g.kernel[1];
  T* other = scratch<Turned, T>(g.ci * g.co * area);
  dispatch(t, x, dy, other, static_cast<T*>(nullptr));
  for (std::int64_t o = 0; o < g.co; ++o)
    for (std::int64_t c = 0; c < g.ci; ++c)
      for (std::int64_t tap = 0; tap < area; ++tap)
        dw[(o * g.ci + c) * area + tap] = other[(c * g.co + o) * area + area - 1 - tap];
}

}  // namespace

template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw, T* db) {
  const bool unit = g.stride == Pair{1, 1} && g.groups == 1;
  if (!unit || g.co >= 16 || g.ci < 16) return dispatch(g, dy, x, dw, db);
  turned(g, dy, x, dw);
  if (db) sum_pixels(g.n * g.ho * g.wo, g.co, dy, db);
}
template void backward_weights(const ConvGeometry&, const float*, const float*, float*, float*);
template void backward_weights(const ConvGeometry&, const double*, const double*, double*, double*);

}  // namespace ebb::cpu::direct
#endif
