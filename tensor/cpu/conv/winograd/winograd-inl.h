// Winograd's transforms along one axis, on vectors of channels, and what tiles are made of.
// Included once for each of Highway's targets.
#if defined(EBB_TENSOR_CPU_WINOGRAD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EBB_TENSOR_CPU_WINOGRAD_INL
#undef EBB_TENSOR_CPU_WINOGRAD_INL
#else
#define EBB_TENSOR_CPU_WINOGRAD_INL
#endif

#include <ebb/tensor/cpu/common/register_tile-inl.h>
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

// Every transform below is for six points (tiles of 4) or for five (tiles of 3, without infinity).
//
// Rows of B^T and of A come in pairs that share their sums: 0 and 5, 1 and 2, 3 and 4.
constexpr int pairs = 3;
constexpr int pair_rows[pairs][2] = {{0, 5}, {1, 2}, {3, 4}};

// The two rows of y = B^T d, of the first pair only one without infinity.
template <int points, int pair>
HWY_INLINE void input_pair(const V* d, V* y) {
  if constexpr (pair == 0) {
    y[0] = hn::Add(fma(-2.5f, d[2], d[4]), d[0]);
    if constexpr (points == 6) y[1] = hn::Add(fma(-2.5f, d[3], d[5]), d[1]);
  } else {
    constexpr float factor = pair == 1 ? p : q, square = pair == 1 ? -2.0f : -0.5f;
    const V even = fma(square, d[2], d[4]), odd = fma(square, d[1], d[3]);
    y[0] = fma(factor, odd, even);
    y[1] = fma(-factor, odd, even);
  }
}

// The two rows of m = A y, likewise.
template <int points, int pair>
HWY_INLINE void output_adjoint_pair(const V* y, V* m) {
  if constexpr (pair == 0) {
    m[0] = y[0];
    if constexpr (points == 6) m[1] = y[3];
  } else {
    constexpr float factor = pair == 1 ? p : q, square = pair == 1 ? 0.5f : 2.0f;
    const V even = fma(square, y[2], y[0]);
    V odd = y[1];
    if constexpr (points == 6) odd = fma(square, y[3], odd);
    m[0] = fma(factor, odd, even);
    m[1] = fma(-factor, odd, even);
  }
}

// All points, which pairs of rows work out.
template <int points, auto outer, auto second, auto third>
HWY_INLINE void by_pairs(const V* d, V* y) {
  V ends[2];
  outer(d, ends);
  second(d, y + 1);
  third(d, y + 3);
  y[0] = ends[0];
  if constexpr (points == 6) y[5] = ends[1];
}

// y = B^T d
template <int points>
HWY_INLINE void input_axis(const V* d, V* y) {
  by_pairs<points, input_pair<points, 0>, input_pair<points, 1>, input_pair<points, 2>>(d, y);
}

// y = A^T m
template <int points>
HWY_INLINE void output_axis(const V* m, V* y) {
  const V sum_p = hn::Add(m[1], m[2]), difference_p = hn::Sub(m[1], m[2]);
  const V sum_q = hn::Add(m[3], m[4]), difference_q = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum_p), sum_q);
  y[1] = fma(q, difference_q, hn::Mul(constant(p), difference_p));
  y[2] = fma(2.0f, sum_q, hn::Mul(constant(0.5f), sum_p));
  if constexpr (points == 6) y[3] = fma(2.0f * q, difference_q, fma(0.5f * p, difference_p, m[5]));
}

// m = A y
template <int points>
HWY_INLINE void output_adjoint_axis(const V* y, V* m) {
  by_pairs<points, output_adjoint_pair<points, 0>, output_adjoint_pair<points, 1>,
           output_adjoint_pair<points, 2>>(y, m);
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

// Transforms `height` x `width` numbers: down the columns to `rows` rows, then along those to
// `columns` columns. load(row, column) gives the input, store(row, column, vector) takes the
// output.
template <int height, int width, int rows, int columns, auto down, auto along, class Load,
          class Store>
HWY_INLINE void transform(Load load, Store store) {
  V half[rows][width];
  EBB_UNROLL for (int column = 0; column < width; ++column) {
    V in[height], out[rows];
    EBB_UNROLL for (int row = 0; row < height; ++row) in[row] = load(row, column);
    down(in, out);
    EBB_UNROLL for (int row = 0; row < rows; ++row) half[row][column] = out[row];
  }
  EBB_UNROLL for (int row = 0; row < rows; ++row) {
    V out[columns];
    along(half[row], out);
    EBB_UNROLL for (int column = 0; column < columns; ++column) store(row, column, out[column]);
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

// Pointers to the rows x columns pixels of an image whose corner is (top, left); those outside the
// image point at `zeros`.
template <int rows, int columns>
HWY_INLINE void find_pixels(const float* image, std::int64_t height, std::int64_t width,
                            std::int64_t channels, std::int64_t top, std::int64_t left,
                            const float* zeros, const float** pixels) {
  if (top >= 0 && left >= 0 && top + rows <= height && left + columns <= width) {
    const float* corner = image + (top * width + left) * channels;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        pixels[i * columns + j] = corner + (i * width + j) * channels;
    return;
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      const std::int64_t h = top + i, w = left + j;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      pixels[i * columns + j] = inside ? image + (h * width + w) * channels : zeros;
    }
}

// Transforms one tile of height x width pixels for all channels rounded up to whole vectors:
// to[(row * 6 + column) * pitch + c] from pixels[i * width + j][c]. Meanwhile the pixels of the
// next tile are prefetched, in the rows that `down` uses (bits of `used`): they are far apart in
// memory.
template <int height, int width, int rows, int columns, int used, auto down, auto along>
HWY_INLINE void transform_pixels(const float* const* pixels, const float* const* next,
                                 std::int64_t channels, std::int64_t pitch, float* to) {
  constexpr std::int64_t n = lanes<float>();
  const auto some = [&](std::int64_t c, auto load) HWY_ATTR {
    transform<height, width, rows, columns, down, along>(
        [&](int i, int j) HWY_ATTR {
          if ((used >> i & 1) != 0) hwy::Prefetch(next[i * width + j] + c);
          return load(pixels[i * width + j] + c);
        },
        [&](int i, int j, V value)
            HWY_ATTR { hn::StoreU(value, D(), to + (i * 6 + j) * pitch + c); });
  };
  std::int64_t c = 0;
  for (; c + n <= channels; c += n)
    some(c, [](const float* at) HWY_ATTR { return hn::LoadU(D(), at); });
  if (c < channels) some(c, [&](const float* at) HWY_ATTR { return load_some(at, channels - c); });
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::winograd
HWY_AFTER_NAMESPACE();

#endif
