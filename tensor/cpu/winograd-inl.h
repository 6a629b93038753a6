// Winograd's transforms along one axis, on vectors of channels, and what tiles are made of.
// Included once for each of Highway's targets.
#if defined(EBB_TENSOR_CPU_WINOGRAD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EBB_TENSOR_CPU_WINOGRAD_INL
#undef EBB_TENSOR_CPU_WINOGRAD_INL
#else
#define EBB_TENSOR_CPU_WINOGRAD_INL
#endif

#include <ebb/tensor/cpu/tile-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::winograd {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace cpu::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr float p = 0.70710678118654752440f, q = 1.41421356237309504880f;

HWY_INLINE V constant(float value) { return hn::Set(D(), value); }
// a + factor * b
HWY_INLINE V fma(float factor, V b, V a) { return hn::MulAdd(constant(factor), b, a); }

// y = B^T d
HWY_INLINE void input_axis(const V* d, V* y) {
  const V even_p = fma(-2.0f, d[2], d[4]), odd_p = fma(-2.0f, d[1], d[3]);
  const V even_q = fma(-0.5f, d[2], d[4]), odd_q = fma(-0.5f, d[1], d[3]);
  y[0] = hn::Add(fma(-2.5f, d[2], d[4]), d[0]);
  y[1] = fma(p, odd_p, even_p);
  y[2] = fma(-p, odd_p, even_p);
  y[3] = fma(q, odd_q, even_q);
  y[4] = fma(-q, odd_q, even_q);
  y[5] = hn::Add(fma(-2.5f, d[3], d[5]), d[1]);
}

// y = A^T m
HWY_INLINE void output_axis(const V* m, V* y) {
  const V sum_p = hn::Add(m[1], m[2]), difference_p = hn::Sub(m[1], m[2]);
  const V sum_q = hn::Add(m[3], m[4]), difference_q = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum_p), sum_q);
  y[1] = fma(q, difference_q, hn::Mul(constant(p), difference_p));
  y[2] = fma(2.0f, sum_q, hn::Mul(constant(0.5f), sum_p));
  y[3] = fma(2.0f * q, difference_q, fma(0.5f * p, difference_p, m[5]));
}

// m = A y
HWY_INLINE void output_adjoint_axis(const V* y, V* m) {
  const V even_p = fma(0.5f, y[2], y[0]), odd_p = fma(0.5f, y[3], y[1]);
  const V even_q = fma(2.0f, y[2], y[0]), odd_q = fma(2.0f, y[3], y[1]);
  m[0] = y[0];
  m[1] = fma(p, odd_p, even_p);
  m[2] = fma(-p, odd_p, even_p);
  m[3] = fma(q, odd_q, even_q);
  m[4] = fma(-q, odd_q, even_q);
  m[5] = y[3];
}

// u = G w
HWY_INLINE void weight_axis(const V* w, V* u) {
  const V even_p = fma(-1.0f / 3, w[2], hn::Mul(constant(-2.0f / 3), w[0]));
  const V even_q = fma(1.0f / 3, w[2], hn::Mul(constant(1.0f / 6), w[0]));
  u[0] = w[0];
  u[1] = fma(-2.0f * p / 3, w[1], even_p);
  u[2] = fma(2.0f * p / 3, w[1], even_p);
  u[3] = fma(q / 6, w[1], even_q);
  u[4] = fma(-q / 6, w[1], even_q);
  u[5] = w[2];
}

// w = G^T u
HWY_INLINE void weight_adjoint_axis(const V* u, V* w) {
  const V sum_p = hn::Add(u[1], u[2]), difference_p = hn::Sub(u[1], u[2]);
  const V sum_q = hn::Add(u[3], u[4]), difference_q = hn::Sub(u[3], u[4]);
  w[0] = fma(1.0f / 6, sum_q, fma(-2.0f / 3, sum_p, u[0]));
  w[1] = fma(q / 6, difference_q, hn::Mul(constant(-2.0f * p / 3), difference_p));
  w[2] = fma(1.0f / 3, sum_q, fma(-1.0f / 3, sum_p, u[5]));
}

// Applies an axis transform from `from` to `to` numbers along both axes:
// load(row, column) gives the input, store(row, column, vector) takes the output.
template <int from, int to, class Axis, class Load, class Store>
HWY_INLINE void both_axes(Axis axis, Load load, Store store) {
  V half[to][from];
  EBB_UNROLL for (int column = 0; column < from; ++column) {
    V in[from], out[to];
    EBB_UNROLL for (int row = 0; row < from; ++row) in[row] = load(row, column);
    axis(in, out);
    EBB_UNROLL for (int row = 0; row < to; ++row) half[row][column] = out[row];
  }
  EBB_UNROLL for (int row = 0; row < to; ++row) {
    V out[to];
    axis(half[row], out);
    EBB_UNROLL for (int column = 0; column < to; ++column) store(row, column, out[column]);
  }
}

// The first `count` lanes, zeros (or nothing) past them.
HWY_INLINE V load_some(const float* from, std::int64_t count) {
  const D d;
  if (count >= lanes<float>()) return hn::LoadU(d, from);
  return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(count)), d, from);
}
HWY_INLINE void store_some(V value, std::int64_t count, float* to) {
  const D d;
  if (count >= lanes<float>())
    hn::StoreU(value, d, to);
  else
    hn::BlendedStore(value, hn::FirstN(d, static_cast<std::size_t>(count)), d, to);
}

// The tiles of a batch: 4x4 pixels of y each, numbered row by row, image by image.
struct Tiling {
  std::int64_t rows, columns, count;
  Tiling(std::int64_t n, std::int64_t height, std::int64_t width)
      : rows((height + 3) / 4), columns((width + 3) / 4), count(n * rows * columns) {}
};

// Pointers to the size x size pixels of an image whose corner is (top, left); those outside the
// image point at `zeros`.
template <int size>
HWY_INLINE void find_pixels(const float* image, std::int64_t height, std::int64_t width,
                            std::int64_t channels, std::int64_t top, std::int64_t left,
                            const float* zeros, const float** pixels) {
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      const std::int64_t h = top + i, w = left + j;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      pixels[i * size + j] = inside ? image + (h * width + w) * channels : zeros;
    }
}

// v[xi * pitch + c] = B^T d B of one tile, for all channels rounded up to whole vectors.
inline void transform_input(const float* const* pixels, std::int64_t channels, std::int64_t pitch,
                            float* v) {
  constexpr std::int64_t n = lanes<float>();
  std::int64_t c = 0;
  const auto store = [&](int i, int j, V value)
                         HWY_ATTR { hn::StoreU(value, D(), v + (i * 6 + j) * pitch + c); };
  for (; c + n <= channels; c += n)
    both_axes<6, 6>(
        input_axis, [&](int i, int j) HWY_ATTR { return hn::LoadU(D(), pixels[i * 6 + j] + c); },
        store);
  if (c < channels)
    both_axes<6, 6>(
        input_axis,
        [&](int i, int j) HWY_ATTR { return load_some(pixels[i * 6 + j] + c, channels - c); },
        store);
}

// Turns the sums of all tiles, du[xi * xi_pitch + c * pitch + o], into dw[o][c][3][3] = G^T du G
// for input channels first..last (at most `weight_block`): transformed for a vector of o at a time
// into `buffer` (weight_block * 9 * lanes values), from which dw is written in order.
constexpr std::int64_t weight_block = 16;
inline void transform_weight_gradient(const float* du, std::int64_t xi_pitch, std::int64_t pitch,
                                      std::int64_t ci, std::int64_t co, std::int64_t first,
                                      std::int64_t last, float* buffer, float* dw) {
  constexpr std::int64_t n = lanes<float>();
  for (std::int64_t o = 0; o < co; o += n) {
    for (std::int64_t c = first; c < last; ++c)
      both_axes<6, 3>(
          weight_adjoint_axis,
          [&](int i, int j)
              HWY_ATTR { return hn::LoadU(D(), du + (i * 6 + j) * xi_pitch + c * pitch + o); },
          [&](int i, int j, V value)
              HWY_ATTR { hn::Store(value, D(), buffer + ((c - first) * 9 + i * 3 + j) * n); });
    for (std::int64_t k = 0; k < std::min(n, co - o); ++k) {
      float* to = dw + ((o + k) * ci + first) * 9;
      for (std::int64_t e = 0; e < (last - first) * 9; ++e) to[e] = buffer[e * n + k];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::winograd
HWY_AFTER_NAMESPACE();

#endif
