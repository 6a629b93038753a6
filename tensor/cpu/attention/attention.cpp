// Attention by blocks of queries and keys (after FlashAttention: Dao et al. 2022, Dao 2023): the
// scores of one block stay in cache and are never a tensor.
//
//               keys, a block at a time
//             +-------+-------+--       forward: a row's largest score so far is taken off before
//   a block   | s = q | s     |         exp; when a later block has a larger one, what was summed
//   of queries|   k^T |       |         so far shrinks by exp(old - new).
//             +-------+-------+--       backward: p = exp(s - largest) / total with what forward
//             |       |       |         kept; blocks of keys are the outer loop.
//
// All products run by tiles (register_tile-inl.h); a head's right operands are packed once.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/attention/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/attention/attention-inl.h>
#include <ebb/tensor/cpu/attention/attention_kernels.h>
#include <ebb/tensor/cpu/common/register_tile-inl.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/reference/reference.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

constexpr std::int64_t block_queries = 8 * tile_rows;
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
    copy_rows(queries, depth, q, q_row, scale, scaled, depth);
    return scaled;
  }

  void forward(T* y, T* largest_scores, T* sums_of_exponentials) const {
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
        const T total = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, totals + i * lanes<T>())));
        copy_rows(1, width, sums + i * pitch, pitch, 1 / total, y + (row + i) * y_row, y_row);
        sums_of_exponentials[row + i] = total;
      }
      std::copy_n(largest, rows, largest_scores + row);
    }
  }

  // With s the scores and g the gradient by y: dv = p^T g; with dp = g v^T and ds = p (dp - mean),
  // the mean being that of dp under p, dq = scale ds k and dk = scale ds^T q. The mean is taken of
  // the dp that it is taken off: where one key has all the weight, ds is 0 and not a rounding
  // error.
  void backward(const T* g, const T* largest, const T* totals, T* dq, T* dk, T* dv) const {
    const Panels<T> k_panels = pack<Keys>(k, depth, keys, 1, k_row);
    const Panels<T> v_panels = pack<Values>(v, width, keys, 1, v_row);
    const Panels<T> k_rows = pack<KeyRows>(k, keys, depth, k_row, 1);
    const Panels<T> q_rows = pack<Queries>(q, queries, depth, q_row, 1);
    const Panels<T> g_rows = pack<Gradients>(g, queries, width, y_row, 1);
    const T* scaled = scaled_queries();
    T* means = scratch<Rows, T>(queries);
    const std::int64_t deep = padded<T>(depth), wide = padded<T>(width);
    T* p = scratch<Scores, T>(block_queries * score_pitch);
    T* ds = scratch<Differentials, T>(block_queries * score_pitch);
    T* k_sums = scratch<KeySums, T>(block_keys * deep);
    T* v_sums = scratch<ValueSums, T>(block_keys * wide);
    T* q_sums = scratch<QuerySums, T>(queries * deep);
    // p and dp of a tile of rows and a block of keys, which may add to the rows' means.
    const auto weigh = [&](std::int64_t first, std::int64_t tile, std::int64_t key, T* p_rows,
                           T* dp_rows, bool add) {
      const std::int64_t count = std::min(block_keys, keys - key), j = key / tile_columns<T>();
      multiply(tile, count, depth, scaled + first * depth, depth, 1, k_panels.from_panel(j), p_rows,
               score_pitch, false);
      multiply(tile, count, width, g + first * y_row, y_row, 1, v_panels.from_panel(j), dp_rows,
               score_pitch, false);
      for (std::int64_t i = first; i < first + tile; ++i) {
        const T mean =
            probabilities(p_rows + (i - first) * score_pitch, dp_rows + (i - first) * score_pitch,
                          count, largest[i], totals[i]);
        if (add) means[i] = key > 0 ? means[i] + mean : mean;
      }
    };
    // With several blocks the means must be whole before the first ds.
    const bool one_block = keys <= block_keys;
    for (std::int64_t key = 0; key < keys && !one_block; key += block_keys)
      for (std::int64_t i = 0; i < queries; i += tile_rows)
        weigh(i, std::min<std::int64_t>(tile_rows, queries - i), key, p, ds, true);
    for (std::int64_t key = 0; key < keys; key += block_keys) {
      const std::int64_t count = std::min(block_keys, keys - key);
      for (std::int64_t row = 0; row < queries; row += block_queries) {
        const std::int64_t rows = std::min(block_queries, queries - row);
        for (std::int64_t i = 0; i < rows; i += tile_rows) {
          const std::int64_t tile = std::min<std::int64_t>(tile_rows, rows - i), first = row + i;
          weigh(first, tile, key, p + i * score_pitch, ds + i * score_pitch, one_block);
          for (std::int64_t t = i; t < i + tile; ++t)
            differentials(p + t * score_pitch, ds + t * score_pitch, count, means[row + t]);
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
                 output<T>(out.largest) + index * heads.queries + first,
                 output<T>(out.totals) + index * heads.queries + first);
  });
}

template <class T>
void attention_heads_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out) {
  parallel_for(heads.count(), 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t y = heads.begin(heads.y, index);
    Head<T>(heads, index, 0, heads.queries, q, k, v)
        .backward(input<T>(grad) + y, input<T>(value.largest) + index * heads.queries,
                  input<T>(value.totals) + index * heads.queries,
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
  if (out.y.numel() == 0 || k.numel() == 0) return reference::attention(heads, q, k, v, out);
  EBB_DISPATCH(forward_target)(heads, q, k, v, out);
}

void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out) {
  if (grad.numel() == 0 || k.numel() == 0)
    return reference::attention_backward(heads, grad, q, k, v, value, out);
  EBB_DISPATCH(backward_target)(heads, grad, q, k, v, value, out);
}

void add_attention_kernels(Kernels& table) {
  table.attention = attention;
  table.attention_backward = attention_backward;
}

}  // namespace ebb::cpu
#endif
