// Attention of float32 by tiles (after FlashAttention: Dao et al. 2022): the scores of a tile of
// queries and one of keys stay in registers and are never a tensor.
//
//               keys, a tile at a time
//             +-------+-------+--       A row's largest score so far is taken off before exp; when
//   a block's | s = q | s     |         a later tile has a larger one, what was summed so far
//   queries   |   k^T |       |         shrinks by exp(old - new).
//             +-------+-------+--
#include <ebb/tensor/cuda/attention/tiled.h>

#include <cfloat>

namespace ebb::cuda {

namespace {

template <int depth>
struct Forward {
  static constexpr int rows = 64, keys = 64, together = depth > 64 ? 2 : 3;
  static constexpr int floats =
      tile_size<rows, depth> + tile_size<keys, depth> + tile_size<rows, keys>;
};

template <int depth>
__global__ void __launch_bounds__(tile_threads, Forward<depth>::together)
    forward_kernel(const Inputs in, float* y, float* largest, float* totals) {
  constexpr int rows = Forward<depth>::rows, keys = Forward<depth>::keys;
  constexpr int n = rows / down, m = keys / across;
  float* const q = shared_memory<float>();
  float* const kv = q + tile_size<rows, depth>;
  float* const p = kv + tile_size<keys, depth>;
  const int first = in.first(rows);
  float sums[n][depth / across], most[n], total[n];
  clear(sums);
#pragma unroll
  for (int i = 0; i < n; ++i) most[i] = -FLT_MAX, total[i] = 0;
  load_rows<rows, depth>(in.rows_q(), first, in.scale(), q);
  for (int key = 0; key < in.keys(); key += keys) {
    float s[n][m];
    __syncthreads();
    load_rows<keys, depth>(in.rows_k(), key, 1, kv);
    __syncthreads();
    multiply_rows<depth>(q, kv, s);
    __syncthreads();
    load_rows<keys, depth>(in.rows_v(), key, 1, kv);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      float now = most[i];
#pragma unroll
      for (int j = 0; j < m; ++j) {
        if (key + tx() + across * j >= in.keys()) s[i][j] = -INFINITY;
        now = fmaxf(now, s[i][j]);
      }
      now = largest_across(now);
      const float factor = __expf(most[i] - now);
      most[i] = now;
      total[i] *= factor;
#pragma unroll
      for (int j = 0; j < m; ++j) total[i] += s[i][j] = __expf(s[i][j] - now);
#pragma unroll
      for (int c = 0; c < depth / across; ++c) sums[i][c] *= factor;
    }
    put_weights<keys>(s, p);
    __syncthreads();
    add_rows<keys, depth>(p, kv, sums);
  }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    total[i] = sum_across(total[i]);
    const float share = 1 / total[i];
#pragma unroll
    for (int c = 0; c < depth / across; ++c) sums[i][c] *= share;
    const int query = first + ty() + down * i;
    if (tx() > 0 || query >= in.queries()) continue;
    largest[in.head() * in.heads.queries + query] = most[i];
    totals[in.head() * in.heads.queries + query] = total[i];
  }
  write_rows<depth>(sums, 1, first, in.queries(), in.width(), in.heads.y.row,
                    y + place(in.heads, in.heads.y, in.head(), 0));
}

}  // namespace

bool fits_tiles(const Heads& heads, DType dtype) {
  const std::int64_t rows = std::max(heads.queries, heads.keys);
  return dtype == DType::float32 && std::max(heads.depth, heads.width) <= 128 &&
         heads.queries > 0 && heads.keys > 0 && rows < INT32_MAX - 64 &&
         heads.count() * ((rows + 31) / 32) < INT32_MAX;
}

void tiled_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out) {
  const Inputs in = inputs_of(heads, q, k, v);
  with_depth(heads, [&]<int depth>() {
    launch_tiles<Forward<depth>>("attention", forward_kernel<depth>, in, heads.queries,
                                 output<float>(out.y), output<float>(out.largest),
                                 output<float>(out.totals));
  });
}

}  // namespace ebb::cuda
