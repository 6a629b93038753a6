// Attention by blocks of queries and keys (after FlashAttention: Dao et al. 2022, Dao 2023): the
// scores of one block stay in cache and are never a tensor.
//
//               keys, a block at a time
//             +-------+-------+--       forward: a row's largest score so far is taken off before
//   a block   | s = q | s     |         exp; when a later block has a larger one, what was summed
//   of queries|   k^T |       |         so far shrinks by exp(old - new).
//             +-------+-------+--       backward: p = exp(s - log_sum) is there in one step; blocks
//             |       |       |         of keys are the outer loop.
//
// All products run by tiles (tile-inl.h); a head's right operands are packed once.
#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/attention.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/tile-inl.h>
#include <ebb/tensor/cpu/walk.h>
#include <ebb/tensor/scalar_math.h>

#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

constexpr std::int64_t block_queries = 8 * tile_rows, block_keys = 256;
// Not a power of two, whose multiples share a few lines of the cache.
constexpr std::int64_t score_pitch = block_keys + 16;

// Scores of float are kept in units of ln 2, so that their exponentials are powers of two.
template <class T>
constexpr T unit = std::is_same_v<T, float> ? T(1.44269504088896340736) : T(1);

// exp(x / unit) for x that is not above 0 by more than a rounding error. For float: 2^x = 2^n 2^r
// with n the integer nearest to x, which adding 1.5 2^23 leaves in the last bits, and a minimax fit
// of 2^r that is right to 1e-7. At -127 all bits are 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exponential(D d, V x) {
  if constexpr (std::is_same_v<hn::TFromD<D>, float>) {
    const hn::RebindToUnsigned<D> bits;
    const V to_integer = hn::Set(d, 12582912.0f);
    x = hn::Max(hn::Set(d, -127.0f), x);  // keeps a NaN
    const V shifted = hn::Add(x, to_integer);
    const V r = hn::Sub(x, hn::Sub(shifted, to_integer));
    V y = hn::Set(d, 1.326472725e-3f);
    y = hn::MulAdd(y, r, hn::Set(d, 9.671512786e-3f));
    y = hn::MulAdd(y, r, hn::Set(d, 5.550733744e-2f));
    y = hn::MulAdd(y, r, hn::Set(d, 0.2402224208f));
    y = hn::MulAdd(y, r, hn::Set(d, 0.6931469776f));
    y = hn::MulAdd(y, r, hn::Set(d, 1.0f));
    return hn::BitCast(
        d, hn::Add(hn::BitCast(bits, y), hn::ShiftLeft<23>(hn::BitCast(bits, shifted))));
  } else {
    return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, x), x);
  }
}

// The right operand of products: its panel j of tile_columns columns starts at data + j * pitch and
// has its rows `step` apart.
template <class T>
struct Panels {
  const T* data;
  std::int64_t pitch, step;

  Panels from_row(std::int64_t row) const { return {data + row * step, pitch, step}; }
  Panels from_panel(std::int64_t j) const { return {data + j * pitch, pitch, step}; }
};

// Of a matrix whose element (i, j) is x[i * row_stride + j * column_stride].
template <class Tag, class T>
Panels<T> pack(const T* x, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
               std::int64_t column_stride) {
  constexpr std::int64_t width = tile_columns<T>();
  const std::int64_t count = (columns + width - 1) / width, pitch = rows * width;
  // Few rows are read too seldom for a copy to pay.
  if (column_stride == 1 && columns % width == 0 && rows < 128) return {x, width, row_stride};
  T* packed = scratch<Tag, T>(count * pitch);
  for (std::int64_t j = 0; j < count; ++j)
    pack_columns(x + j * width * column_stride, column_stride, row_stride,
                 std::min(width, columns - j * width), rows, packed + j * pitch);
  return {packed, pitch, width};
}

// c = [c +] a b, a (rows, k) with element (i, p) at a[i * row_stride + p * step]. Of c's rows,
// `pitch` apart, whole vectors are written; rows is at most block_keys.
template <class T>
void multiply(std::int64_t rows, std::int64_t columns, std::int64_t k, const T* a,
              std::int64_t row_stride, std::int64_t step, const Panels<T>& b, T* c,
              std::int64_t pitch, bool add) {
  constexpr std::int64_t width = tile_columns<T>();
  const T* sources[block_keys];
  T* targets[block_keys];
  for (std::int64_t i = 0; i < rows; ++i) sources[i] = a + i * row_stride;
  for (std::int64_t j = 0; j * width < columns; ++j) {
    const std::int64_t whole = columns - j * width > lanes<T>() ? width : lanes<T>();
    for (std::int64_t i = 0; i < rows; ++i) targets[i] = c + i * pitch + j * width;
    multiply_tile(Tile<T>{1, k, sources, 0, step, b.data + j * b.pitch, b.step, targets, whole, add,
                          nullptr, Activation::none},
                  0, rows);
  }
}

// to = factor * from, rows `from_row` and `to_row` apart.
template <class T>
void copy_rows(std::int64_t rows, std::int64_t columns, const T* from, std::int64_t from_row,
               T factor, T* to, std::int64_t to_row) {
  for (std::int64_t i = 0; i < rows; ++i, from += from_row, to += to_row)
    for (std::int64_t j = 0; j < columns; ++j) to[j] = factor * from[j];
}

// For `rows` rows of scores (at most a tile's): their largest so far, and the factors by which what
// was summed before shrinks. Scores from `count` up to whole vectors become the lowest.
template <class T>
void find_largest(T* scores, std::int64_t rows, std::int64_t count, T* largest, T* factors) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = (count - 1) / lanes<T>() * lanes<T>();  // of all vectors but the last
  const auto inside = hn::FirstN(d, static_cast<std::size_t>(count - end));
  for (std::int64_t i = 0; i < rows; ++i, scores += score_pitch) {
    auto most = hn::IfThenElse(inside, hn::Load(d, scores + end),
                               hn::Set(d, std::numeric_limits<T>::lowest()));
    hn::Store(most, d, scores + end);
    for (std::int64_t j = 0; j < end; j += lanes<T>())
      most = hn::Max(most, hn::Load(d, scores + j));
    const T now = std::max(largest[i], hn::GetLane(hn::MaxOfLanes(d, most)));
    factors[i] = largest[i] - now;
    largest[i] = now;
  }
  for (std::int64_t i = 0; i < rows; i += lanes<T>())
    hn::Store(exponential(d, hn::Load(d, factors + i)), d, factors + i);
}

// The scores of a row become exponentials, less `largest`; adds them to `totals`.
template <class T>
void exponentials(T* scores, std::int64_t count, T largest, T factor, T* totals) {
  const hn::ScalableTag<T> d;
  const auto most = hn::Set(d, largest);
  // Small ones would be lost if they were added to the total one by one.
  auto sum = hn::Zero(d);
  for (std::int64_t run = 0; run < count; run += 16 * lanes<T>()) {
    auto some = hn::Zero(d);
    for (std::int64_t j = run; j < std::min(count, run + 16 * lanes<T>()); j += lanes<T>()) {
      const auto p = exponential(d, hn::Sub(hn::Load(d, scores + j), most));
      hn::Store(p, d, scores + j);
      some = hn::Add(some, p);
    }
    sum = hn::Add(sum, some);
  }
  hn::Store(hn::MulAdd(hn::Load(d, totals), hn::Set(d, factor), sum), d, totals);
}

// Scores of a row become probabilities p, and ds, which holds dp, p (dp - mean).
template <class T>
void differentials(T* scores, T* ds, std::int64_t count, T log_sum, T mean) {
  const hn::ScalableTag<T> d;
  const auto shift = hn::Set(d, log_sum), middle = hn::Set(d, mean);
  for (std::int64_t j = 0; j < count; j += lanes<T>()) {
    const auto p = exponential(d, hn::Sub(hn::Load(d, scores + j), shift));
    hn::Store(p, d, scores + j);
    hn::Store(hn::Mul(p, hn::Sub(hn::Load(d, ds + j), middle)), d, ds + j);
  }
}

template <class T>
T dot(const T* a, const T* b, std::int64_t count) {
  const hn::ScalableTag<T> d;
  auto sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes<T>() <= count; i += lanes<T>())
    sums = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sums);
  T total = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

struct Keys;
struct Values;
struct KeyRows;
struct Queries;
struct Gradients;
struct Scaled;
struct Scores;
struct Differentials;
struct Rows;
struct KeySums;
struct ValueSums;
struct QuerySums;

template <class T>
constexpr std::int64_t padded(std::int64_t columns) {
  return (columns + tile_columns<T>() - 1) / tile_columns<T>() * tile_columns<T>();
}

// One head, or some queries of it.
template <class T>
struct Head {
  std::int64_t queries, keys, depth, width;
  T scale;
  const T *q, *k, *v;
  std::int64_t q_row, k_row, v_row, y_row;  // from row to row

  Head(const Heads& heads, std::int64_t index, std::int64_t first, std::int64_t count,
       const Tensor& all_q, const Tensor& all_k, const Tensor& all_v)
      : queries(count),
        keys(heads.keys),
        depth(heads.depth),
        width(heads.width),
        scale(static_cast<T>(heads.scale)),
        q(input<T>(all_q) + heads.begin(heads.q, index) + first * heads.q.row),
        k(input<T>(all_k) + heads.begin(heads.k, index)),
        v(input<T>(all_v) + heads.begin(heads.v, index)),
        q_row(heads.q.row),
        k_row(heads.k.row),
        v_row(heads.v.row),
        y_row(heads.y.row) {}

  const T* scaled_queries() const {
    T* scaled = scratch<Scaled, T>(queries * depth);
    copy_rows(queries, depth, q, q_row, scale * unit<T>, scaled, depth);
    return scaled;
  }

  void forward(T* y, T* log_sums) const {
    const Panels<T> k_panels = pack<Keys>(k, depth, keys, 1, k_row);
    const Panels<T> v_panels = pack<Values>(v, keys, width, v_row, 1);
    const T* scaled = scaled_queries();
    const std::int64_t pitch = padded<T>(width);
    T* scores = scratch<Scores, T>(tile_rows * score_pitch);
    T* sums = scratch<ValueSums, T>(block_queries * pitch);
    T* totals = scratch<Rows, T>(block_queries * (lanes<T>() + 1));
    T* largest = totals + block_queries * lanes<T>();
    alignas(64) T factors[tile_rows + lanes<T>()] = {};
    for (std::int64_t row = 0; row < queries; row += block_queries) {
      const std::int64_t rows = std::min(block_queries, queries - row);
      std::fill_n(totals, rows * lanes<T>(), T(0));
      std::fill_n(largest, rows, std::numeric_limits<T>::lowest());
      for (std::int64_t key = 0; key < keys; key += block_keys) {
        const std::int64_t count = std::min(block_keys, keys - key);
        // The scores of a tile's rows stay in the first cache.
        for (std::int64_t i = 0; i < rows; i += tile_rows) {
          const std::int64_t tile = std::min<std::int64_t>(tile_rows, rows - i);
          multiply(tile, count, depth, scaled + (row + i) * depth, depth, 1,
                   k_panels.from_panel(key / tile_columns<T>()), scores, score_pitch, false);
          find_largest(scores, tile, count, largest + i, factors);
          for (std::int64_t t = 0; t < tile; ++t) {
            exponentials(scores + t * score_pitch, count, largest[i + t], factors[t],
                         totals + (i + t) * lanes<T>());
            if (key > 0 && factors[t] != 1)
              for (std::int64_t c = 0; c < width; ++c) sums[(i + t) * pitch + c] *= factors[t];
          }
          multiply(tile, width, count, scores, score_pitch, 1, v_panels.from_row(key),
                   sums + i * pitch, pitch, key > 0);
        }
      }
      const hn::ScalableTag<T> d;
      for (std::int64_t i = 0; i < rows; ++i) {
        totals[i] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, totals + i * lanes<T>())));
        copy_rows(1, width, sums + i * pitch, pitch, 1 / totals[i], y + (row + i) * y_row, y_row);
      }
      for (std::int64_t i = 0; i < rows; ++i)
        log_sums[row + i] = largest[i] / unit<T> + detail::log(totals[i]);
    }
  }

  // With s the scores and g the gradient by y: dv = p^T g; with dp = g v^T and ds = p (dp - g y),
  // g y being the sum of p dp over the keys, dq = scale ds k and dk = scale ds^T q.
  void backward(const T* g, const T* y, const T* log_sums, T* dq, T* dk, T* dv) const {
    const Panels<T> k_panels = pack<Keys>(k, depth, keys, 1, k_row);
    const Panels<T> v_panels = pack<Values>(v, width, keys, 1, v_row);
    const Panels<T> k_rows = pack<KeyRows>(k, keys, depth, k_row, 1);
    const Panels<T> q_rows = pack<Queries>(q, queries, depth, q_row, 1);
    const Panels<T> g_rows = pack<Gradients>(g, queries, width, y_row, 1);
    const T* scaled = scaled_queries();
    T* dots = scratch<Rows, T>(queries);
    for (std::int64_t i = 0; i < queries; ++i) dots[i] = dot(g + i * y_row, y + i * y_row, width);
    const std::int64_t deep = padded<T>(depth), wide = padded<T>(width);
    T* p = scratch<Scores, T>(block_queries * score_pitch);
    T* ds = scratch<Differentials, T>(block_queries * score_pitch);
    T* k_sums = scratch<KeySums, T>(block_keys * deep);
    T* v_sums = scratch<ValueSums, T>(block_keys * wide);
    T* q_sums = scratch<QuerySums, T>(queries * deep);
    for (std::int64_t key = 0; key < keys; key += block_keys) {
      const std::int64_t count = std::min(block_keys, keys - key), j = key / tile_columns<T>();
      for (std::int64_t row = 0; row < queries; row += block_queries) {
        const std::int64_t rows = std::min(block_queries, queries - row);
        for (std::int64_t i = 0; i < rows; i += tile_rows) {
          const std::int64_t tile = std::min<std::int64_t>(tile_rows, rows - i), first = row + i;
          T *p_rows = p + i * score_pitch, *ds_rows = ds + i * score_pitch;
          multiply(tile, count, depth, scaled + first * depth, depth, 1, k_panels.from_panel(j),
                   p_rows, score_pitch, false);
          multiply(tile, count, width, g + first * y_row, y_row, 1, v_panels.from_panel(j), ds_rows,
                   score_pitch, false);
          for (std::int64_t t = 0; t < tile; ++t)
            differentials(p_rows + t * score_pitch, ds_rows + t * score_pitch, count,
                          log_sums[first + t] * unit<T>, dots[first + t]);
        }
        multiply(count, width, rows, p, 1, score_pitch, g_rows.from_row(row), v_sums, wide,
                 row > 0);
        multiply(count, depth, rows, ds, 1, score_pitch, q_rows.from_row(row), k_sums, deep,
                 row > 0);
        multiply(rows, depth, count, ds, score_pitch, 1, k_rows.from_row(key), q_sums + row * deep,
                 deep, key > 0);
      }
      copy_rows(count, depth, k_sums, deep, scale, dk + key * k_row, k_row);
      copy_rows(count, width, v_sums, wide, T(1), dv + key * v_row, v_row);
    }
    copy_rows(queries, depth, q_sums, deep, scale, dq, q_row);
  }
};

template <class T>
void attention_heads(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out) {
  // Few heads are cut into parts, each of which packs the keys for itself.
  const std::int64_t blocks = (heads.queries + block_queries - 1) / block_queries;
  const std::int64_t wanted = std::clamp<std::int64_t>(16 / heads.count(), 1, blocks);
  const std::int64_t part = (blocks + wanted - 1) / wanted * block_queries;
  const std::int64_t parts = (heads.queries + part - 1) / part;
  parallel_for(heads.count() * parts, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t index = i / parts, first = i % parts * part;
    Head<T>(heads, index, first, std::min(part, heads.queries - first), q, k, v)
        .forward(output<T>(out.y) + heads.begin(heads.y, index) + first * heads.y.row,
                 output<T>(out.log_sums) + index * heads.queries + first);
  });
}

template <class T>
void attention_heads_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out) {
  parallel_for(heads.count(), 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t y = heads.begin(heads.y, index);
    Head<T>(heads, index, 0, heads.queries, q, k, v)
        .backward(input<T>(grad) + y, input<T>(value.y) + y,
                  input<T>(value.log_sums) + index * heads.queries,
                  output<T>(out.q) + heads.begin(heads.q, index),
                  output<T>(out.k) + heads.begin(heads.k, index),
                  output<T>(out.v) + heads.begin(heads.v, index));
  });
}

void forward_target(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                    Attended& out) {
  dispatch_floating("attention", q.dtype(),
                    [&](auto zero) { attention_heads<decltype(zero)>(heads, q, k, v, out); });
}

void backward_target(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                     const Tensor& v, const Attended& value, AttentionGradients& out) {
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    attention_heads_backward<decltype(zero)>(heads, grad, q, k, v, value, out);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {
HWY_EXPORT(forward_target);
HWY_EXPORT(backward_target);
}  // namespace

void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out) {
  if (out.y.numel() == 0 || k.numel() == 0) return attention_reference(heads, q, k, v, out);
  EBB_DISPATCH(forward_target)(heads, q, k, v, out);
}

void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out) {
  if (grad.numel() == 0 || k.numel() == 0)
    return attention_backward_reference(heads, grad, q, k, v, value, out);
  EBB_DISPATCH(backward_target)(heads, grad, q, k, v, value, out);
}

void add_attention_kernels(Kernels& table) {
  table.attention = attention;
  table.attention_backward = attention_backward;
}

}  // namespace ebb::cpu
#endif
