// The gradient by the weights of any convolution: dw[tap][c][o] = sum over the pixels p of y of
// x[p's pixel under the tap][c] dy[p][o], by tiles (tile-inl.h) whose rows are input channels and
// whose k is p.
//
//   dy, some rows of one image             the rows of x under them, copied with zeros around
//   +------------------+                   0 0 0 0 0 0 0 0 0 0 0 0
//   | p  p  p  p  p  p |  one segment      0 c  c  c  c  c  c  c 0   a tap's sources start at its
//   | p  p  p  p  p  p |  a row            0 c  c  c  c  c  c  c 0   own corner and step from
//   +------------------+                   0 0 0 0 0 0 0 0 0 0 0 0   pixel to pixel
//
// Where pixels have few channels, the rows of a tile are those of all taps. Images are cut into
// parts by their sizes alone; each part has sums of its own, added in order.
#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv_lattice_weights.cpp"
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

constexpr std::int64_t few_channels = 16;
constexpr std::int64_t chunk_pixels = 256;

struct Copied;
struct LastColumns;
struct Partial;
struct Tables;

// One group of one convolution.
template <class T>
struct Gradient {
  const ConvGeometry& g;
  const T *dy, *x;  // at the group's first channel
  std::int64_t in, out, area;
  std::int64_t tile_taps;  // whose channels are the rows of a tile
  std::int64_t chunk_rows, chunks_an_image;
  std::int64_t pitch;               // of a row of sums
  std::int64_t copied_h, copied_w;  // size of the padded copy

  explicit Gradient(const ConvGeometry& geometry, std::int64_t group, const T* all_dy,
                    const T* all_x)
      : g(geometry),
        dy(all_dy + group * geometry.group_out()),
        x(all_x + group * geometry.group_in()),
        in(geometry.group_in()),
        out(geometry.group_out()),
        area(geometry.kernel[0] * geometry.kernel[1]),
        tile_taps(in < few_channels ? area : 1),
        chunk_rows(std::clamp<std::int64_t>(chunk_pixels / g.wo, 1, g.ho)),
        chunks_an_image((g.ho + chunk_rows - 1) / chunk_rows),
        pitch((out + tile_columns<T>() - 1) / tile_columns<T>() * tile_columns<T>() + 16),
        copied_h((chunk_rows - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1),
        copied_w((g.wo - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1) {}

  // Adds (or writes, the first time) one chunk's products to sums[(tap * in + c) * pitch + o].
  void add_chunk(std::int64_t chunk, bool first, T* sums) const {
    const std::int64_t image = chunk / chunks_an_image;
    const std::int64_t row = chunk % chunks_an_image * chunk_rows;
    const std::int64_t rows = std::min(chunk_rows, g.ho - row);
    T* copied = scratch<Copied, T>(copied_h * copied_w * in);
    copy(image, row, rows, copied);

    const std::int64_t tile_sources = tile_taps * in;
    const T** sources = scratch<Tables, const T*>(rows * tile_sources + tile_sources);
    T** targets = const_cast<T**>(sources + rows * tile_sources);
    for (std::int64_t o = 0; o < out; o += tile_columns<T>()) {
      const std::int64_t columns = std::min(tile_columns<T>(), out - o);
      const T* b = dy + ((image * g.ho + row) * g.wo) * g.co + o;
      std::int64_t b_step = g.co;
      if (columns % lanes<T>() != 0) {
        // A tile reads whole vectors, and nothing need follow the last channel of the last pixel.
        b_step = tile_columns<T>();
        T* packed = scratch<LastColumns, T>(chunk_rows * g.wo * b_step);
        pack_columns(b, 1, g.co, columns, rows * g.wo, packed);
        b = packed;
      }
      for (std::int64_t first_tap = 0; first_tap < area; first_tap += tile_taps) {
        for (std::int64_t t = 0; t < tile_taps; ++t) {
          const std::int64_t tap = first_tap + t;
          const T* corner = copied + (tap / g.kernel[1] * g.dilation[0] * copied_w +
                                      tap % g.kernel[1] * g.dilation[1]) *
                                         in;
          for (std::int64_t s = 0; s < rows; ++s)
            for (std::int64_t c = 0; c < in; ++c)
              sources[s * tile_sources + t * in + c] = corner + s * g.stride[0] * copied_w * in + c;
          for (std::int64_t c = 0; c < in; ++c)
            targets[t * in + c] = sums + (tap * in + c) * pitch + o;
        }
        multiply_tile(Tile<T>{rows, g.wo, sources, tile_sources, g.stride[1] * in, b, b_step,
                              targets, columns, !first, nullptr, Activation::none},
                      0, tile_sources);
      }
    }
  }

  // The rows of x under `rows` rows of y, with zeros around.
  void copy(std::int64_t image, std::int64_t row, std::int64_t rows, T* to) const {
    const std::int64_t top = row * g.stride[0] - g.padding[0], left = -g.padding[1];
    const std::int64_t height = (rows - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1;
    for (std::int64_t h = top; h < top + height; ++h) {
      const bool inside = h >= 0 && h < g.h;
      const std::int64_t first = inside ? std::clamp<std::int64_t>(-left, 0, copied_w) : copied_w;
      const std::int64_t last = std::clamp(g.w - left, first, copied_w);
      to = std::fill_n(to, first * in, T(0));
      if (first < last) {
        const T* from = x + ((image * g.h + h) * g.w + left + first) * g.ci;
        if (in == g.ci) {
          to = std::copy_n(from, (last - first) * in, to);
        } else {
          for (std::int64_t w = first; w < last; ++w, from += g.ci) to = std::copy_n(from, in, to);
        }
      }
      to = std::fill_n(to, (copied_w - last) * in, T(0));
    }
  }
};

template <class T>
void weights_target(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const std::int64_t area = g.kernel[0] * g.kernel[1];
  const std::int64_t size = g.co * g.group_in() * area;
  if (g.n * g.ho * g.wo == 0 || size == 0) {
    std::fill_n(dw, size, T(0));
    return;
  }
  for (std::int64_t group = 0; group < g.groups; ++group) {
    const Gradient<T> gradient(g, group, dy, x);
    const std::int64_t chunks = g.n * gradient.chunks_an_image;
    const std::int64_t depth = area * gradient.in, sums = depth * gradient.pitch;
    const std::int64_t wanted = std::clamp<std::int64_t>((1 << 21) / sums, 4, 32);
    const std::int64_t part = (chunks + wanted - 1) / wanted, parts = (chunks + part - 1) / part;
    T* partial = scratch<Partial, T>(parts * sums);
    parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t) {
      for (std::int64_t c = begin * part; c < std::min(chunks, (begin + 1) * part); ++c)
        gradient.add_chunk(c, c == begin * part, partial + begin * sums);
    });
    T* to = dw + group * gradient.out * depth;
    parallel_for(gradient.in, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = 1; p < parts; ++p)
        for (std::int64_t tap = 0; tap < area; ++tap) {
          T* total = partial + (tap * gradient.in + begin) * gradient.pitch;
          for (std::int64_t c = begin; c < end; ++c, total += gradient.pitch)
            for (std::int64_t o = 0; o < gradient.out; ++o) total[o] += total[p * sums + o];
        }
      for (std::int64_t o = 0; o < gradient.out; ++o)
        for (std::int64_t c = begin; c < end; ++c)
          for (std::int64_t tap = 0; tap < area; ++tap)
            to[(o * gradient.in + c) * area + tap] =
                partial[(tap * gradient.in + c) * gradient.pitch + o];
    });
  }
}

void weights_float(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  weights_target(g, dy, x, dw);
}
void weights_double(const ConvGeometry& g, const double* dy, const double* x, double* dw) {
  weights_target(g, dy, x, dw);
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::lattice
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::lattice {

HWY_EXPORT(weights_float);
HWY_EXPORT(weights_double);

namespace {

void dispatch(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  EBB_DISPATCH(weights_float)(g, dy, x, dw);
}
void dispatch(const ConvGeometry& g, const double* dy, const double* x, double* dw) {
  EBB_DISPATCH(weights_double)(g, dy, x, dw);
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
  dispatch(t, x, dy, other);
  for (std::int64_t o = 0; o < g.co; ++o)
    for (std::int64_t c = 0; c < g.ci; ++c)
      for (std::int64_t tap = 0; tap < area; ++tap)
        dw[(o * g.ci + c) * area + tap] = other[(c * g.co + o) * area + area - 1 - tap];
}

}  // namespace

template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const bool unit = g.stride == Pair{1, 1} && g.groups == 1;
  if (unit && g.co < 16 && g.ci >= 16) return turned(g, dy, x, dw);
  dispatch(g, dy, x, dw);
}
template void backward_weights(const ConvGeometry&, const float*, const float*, float*);
template void backward_weights(const ConvGeometry&, const double*, const double*, double*);

}  // namespace ebb::cpu::lattice
#endif
