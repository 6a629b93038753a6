// The inner loop of every matrix product: a tile of sums held in registers.
//
//                      b: two vectors a step
//                      [ . . . . | . . . . ]
//   sources[0] -> a    [ sums of target 0  ]     for each k: one value of every source, broadcast,
//   sources[1] -> a    [ sums of target 1  ]     times the two vectors of b
//      ...                    ...
//
// Sources are pointers, so a row can be a row of a matrix, a column (step > 1) or, one segment a
// tap, the pixels under a convolution's kernel: nothing needs to be copied together first.
//
// Included once for each of Highway's targets.
#if defined(EBB_TENSOR_CPU_TILE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EBB_TENSOR_CPU_TILE_INL
#undef EBB_TENSOR_CPU_TILE_INL
#else
#define EBB_TENSOR_CPU_TILE_INL
#endif

#include <ebb/tensor/ops/conv.h>
#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3
constexpr int tile_rows = 14;  // 28 of 32 registers hold sums
#else
constexpr int tile_rows = 6;  // 12 of 16
#endif

template <class T>
constexpr std::int64_t lanes() {
  return static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
}
// Columns of a tile.
template <class T>
constexpr std::int64_t tile_columns() {
  return 2 * lanes<T>();
}

template <class T>
struct Tile {
  std::int64_t segments, length;  // k = segments * length
  const T* const* sources;        // of segment s and row i: [s * source_pitch + i]
  std::int64_t source_pitch, step;
  const T* b;  // row k at b + k * b_step; all of the tile's vectors are readable
  std::int64_t b_step;
  T* const* targets;     // of row i
  std::int64_t columns;  // that are written, 1..tile_columns
  bool add;              // to what the targets hold
  const T* bias;         // readable as b's rows are, or null
  Activation activation;
};

template <class D, class V>
HWY_INLINE V activate_vector(D d, V x, Activation activation) {
  // Not Max, which keeps a NaN on some processors only.
  if (activation == Activation::relu) return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  if (activation == Activation::silu) {
    using T = hn::TFromD<D>;
    // Exp is infinite at this limit; far beyond it its exponent wraps around.
    const V limit = hn::Set(d, sizeof(T) == 4 ? T(104) : T(1000));
    return hn::Div(x, hn::Add(hn::Set(d, T(1)), hn::Exp(d, hn::Min(limit, hn::Neg(x)))));
  }
  return x;
}

// The end of a tile whose columns do not fill its vectors or whose activation is long, from its
// sums in memory.
template <class T>
HWY_NOINLINE void finish_rows(const Tile<T>& tile, std::int64_t first, std::int64_t rows,
                              std::int64_t span, T* sums) {
  const hn::ScalableTag<T> d;
  for (std::int64_t i = 0; i < rows; ++i, sums += span) {
    T* target = tile.targets[first + i];
    for (std::int64_t c = 0; tile.add && c < tile.columns; ++c) sums[c] = target[c] + sums[c];
    for (std::int64_t j = 0; j < span; j += lanes<T>()) {
      auto y = hn::Load(d, sums + j);
      if (tile.bias) y = hn::Add(y, hn::LoadU(d, tile.bias + j));
      hn::Store(activate_vector(d, y, tile.activation), d, sums + j);
    }
    std::copy_n(sums, tile.columns, target);
  }
}

template <int rows, int vectors, class T>
HWY_NOINLINE void multiply_rows(const Tile<T>& tile, std::int64_t first) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::int64_t n = lanes<T>();
  V sums[rows][vectors];
  EBB_UNROLL for (int i = 0; i < rows; ++i) {
    EBB_UNROLL for (int j = 0; j < vectors; ++j) sums[i][j] = hn::Zero(d);
  }
  // What is added to at the end comes while the sums are computed.
  if (tile.add) {
    for (int i = 0; i < rows; ++i) {
      hwy::Prefetch(tile.targets[first + i]);
      hwy::Prefetch(tile.targets[first + i] + (tile.columns - 1));
    }
  }
  const T* HWY_RESTRICT b = tile.b;
  for (std::int64_t s = 0; s < tile.segments; ++s) {
    const T* a[rows];
    EBB_UNROLL for (int i = 0; i < rows; ++i) {
      a[i] = tile.sources[s * tile.source_pitch + first + i];
    }
    std::int64_t at = 0;
    for (std::int64_t p = 0; p < tile.length; ++p, at += tile.step, b += tile.b_step) {
      V right[vectors];
      EBB_UNROLL for (int j = 0; j < vectors; ++j) right[j] = hn::LoadU(d, b + j * n);
      EBB_UNROLL for (int i = 0; i < rows; ++i) {
        const V left = hn::Set(d, a[i][at]);
        EBB_UNROLL for (int j = 0; j < vectors; ++j) {
          sums[i][j] = hn::MulAdd(left, right[j], sums[i][j]);
        }
      }
    }
  }
  if (tile.columns != vectors * n || tile.activation == Activation::silu) {
    alignas(64) T values[rows * vectors * n];
    EBB_UNROLL for (int i = 0; i < rows; ++i) {
      EBB_UNROLL for (int j = 0; j < vectors; ++j)
          hn::Store(sums[i][j], d, values + (i * vectors + j) * n);
    }
    return finish_rows(tile, first, rows, vectors * n, values);
  }
  T* const* targets = tile.targets + first;
  if (tile.add) {
    EBB_UNROLL for (int i = 0; i < rows; ++i) {
      EBB_UNROLL for (int j = 0; j < vectors; ++j) sums[i][j] =
          hn::Add(hn::LoadU(d, targets[i] + j * n), sums[i][j]);
    }
  }
  if (tile.bias) {
    EBB_UNROLL for (int j = 0; j < vectors; ++j) {
      const V bias = hn::LoadU(d, tile.bias + j * n);
      EBB_UNROLL for (int i = 0; i < rows; ++i) sums[i][j] = hn::Add(sums[i][j], bias);
    }
  }
  if (tile.activation == Activation::relu) {
    EBB_UNROLL for (int i = 0; i < rows; ++i) {
      EBB_UNROLL for (int j = 0; j < vectors; ++j) sums[i][j] =
          activate_vector(d, sums[i][j], Activation::relu);
    }
  }
  EBB_UNROLL for (int i = 0; i < rows; ++i) {
    EBB_UNROLL for (int j = 0; j < vectors; ++j) hn::StoreU(sums[i][j], d, targets[i] + j * n);
  }
}

template <int rows, class T>
HWY_INLINE void multiply_vectors(const Tile<T>& tile, std::int64_t first) {
  if (tile.columns > lanes<T>())
    multiply_rows<rows, 2>(tile, first);
  else
    multiply_rows<rows, 1>(tile, first);
}

// Rows first..last of the tile's tables; a row's bits do not depend on how rows are grouped.
template <class T>
void multiply_tile(const Tile<T>& tile, std::int64_t first, std::int64_t last) {
  // One vector's sums wait for the addresses of 14 rows, of which too few fit the registers.
  if (tile_rows >= 14 && tile.columns <= lanes<T>())
    for (; last - first >= tile_rows / 2; first += tile_rows / 2)
      multiply_rows<tile_rows / 2, 1>(tile, first);
  for (; last - first >= tile_rows; first += tile_rows) multiply_vectors<tile_rows>(tile, first);
  // Four rows keep the multipliers busy, fewer do not.
  if ((last - first) % 2 == 1 && last - first >= tile_rows / 2) {
    multiply_vectors<tile_rows / 2>(tile, first);
    first += tile_rows / 2;
  }
  for (; last - first >= 4; first += 4) multiply_vectors<4>(tile, first);
  for (; last - first >= 2; first += 2) multiply_vectors<2>(tile, first);
  if (first < last) multiply_vectors<1>(tile, first);
}

// Asks for `count` neighbouring values before they are used.
template <class T>
void prefetch(const T* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += 64 / static_cast<std::int64_t>(sizeof(T)))
    hwy::Prefetch(from + i);
}

// row(p)[j] = from[j * pitch + p] for p below k and j below count.
template <class T, class Row>
void transpose(const T* from, std::int64_t pitch, std::int64_t count, std::int64_t k,
               const Row& row) {
  std::int64_t p = 0, aligned = 0;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(T) == 4) {
    // By blocks of 4 x 4.
    const hn::FixedTag<T, 4> d;
    const hn::Repartition<double, decltype(d)> pairs;
    aligned = count / 4 * 4;
    for (; p + 4 <= k; p += 4) {
      T *out0 = row(p), *out1 = row(p + 1), *out2 = row(p + 2), *out3 = row(p + 3);
      for (std::int64_t j = 0; j < aligned; j += 4) {
        const T* corner = from + j * pitch + p;
        const auto r0 = hn::LoadU(d, corner), r1 = hn::LoadU(d, corner + pitch);
        const auto r2 = hn::LoadU(d, corner + 2 * pitch), r3 = hn::LoadU(d, corner + 3 * pitch);
        const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
        const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
        const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
        const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, out0 + j);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, out1 + j);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, out2 + j);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, out3 + j);
      }
    }
  }
#endif
  for (std::int64_t q = 0; q < k; ++q) {
    T* to = row(q);
    for (std::int64_t j = q < p ? aligned : 0; j < count; ++j) to[j] = from[j * pitch + q];
  }
}

// to[p][0..tile_columns): columns of a row of panels; zeros past `count`.
template <class T>
void pack_columns(const T* from, std::int64_t column_stride, std::int64_t row_stride,
                  std::int64_t count, std::int64_t k, T* HWY_RESTRICT to) {
  constexpr std::int64_t span = tile_columns<T>();
  if (column_stride == 1 && count == span) {
    const hn::ScalableTag<T> d;
    for (std::int64_t p = 0; p < k; ++p, from += row_stride, to += span) {
      hn::StoreU(hn::LoadU(d, from), d, to);
      hn::StoreU(hn::LoadU(d, from + lanes<T>()), d, to + lanes<T>());
    }
    return;
  }
  if (row_stride == 1) {
    transpose(from, column_stride, count, k, [to](std::int64_t p) { return to + p * span; });
  } else {
    for (std::int64_t p = 0; p < k; ++p)
      for (std::int64_t j = 0; j < count; ++j)
        to[p * span + j] = from[j * column_stride + p * row_stride];
  }
  if (count < span)
    for (std::int64_t p = 0; p < k; ++p)
      std::fill(to + p * span + count, to + (p + 1) * span, T(0));
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#endif
