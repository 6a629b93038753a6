// The gradients of attention by tiles: with p = exp(s - largest) / total from what forward kept,
// and dp = g v^T, ds = p (dp - dot), dot = sum of p dp over the keys; dq = scale ds k, dk = scale
// ds^T q, dv = p^T g. A kernel for dot and dq goes over the keys, one for dk and dv over the
// queries.
#include <ebb/tensor/cuda/attention/tiled.h>

namespace ebb::cuda {

namespace {

// What backward knows of a query; of one that is not there, what makes p and ds 0.
struct Query {
  float largest, share, dot;

  __device__ static Query of(const Inputs& in, int query, const float* dots) {
    if (query >= in.queries()) return {0, 0, 0};
    const std::int64_t i = in.head() * in.heads.queries + query;
    return {in.largest[i], 1 / in.totals[i], dots == nullptr ? 0 : dots[i]};
  }
  // Of a query that is not there 0, whatever its score.
  __device__ float probability(float score) const {
    return share == 0 ? 0 : __expf(score - largest) * share;
  }
};

template <int depth>
struct Queries {
  static constexpr int rows = 64, keys = depth > 64 ? 32 : 64, together = depth > 64 ? 2 : 3;
  static constexpr int floats =
      2 * tile_size<rows, depth> + tile_size<keys, depth> + tile_size<rows, keys>;
};

template <int depth>
__global__ void __launch_bounds__(tile_threads, Queries<depth>::together)
    queries_kernel(const Inputs in, float* dots, float* dq) {
  constexpr int rows = Queries<depth>::rows, keys = Queries<depth>::keys;
  constexpr int n = rows / down, m = keys / across;
  float* const q = shared_memory<float>();
  float* const g = q + tile_size<rows, depth>;
  float* const kv = g + tile_size<rows, depth>;
  float* const weights = kv + tile_size<keys, depth>;
  const int first = in.first(rows);
  float sums[n][depth / across];
  Query of[n];
  clear(sums);
#pragma unroll
  for (int i = 0; i < n; ++i) of[i] = Query::of(in, first + ty() + down * i, nullptr);
  load_rows<rows, depth>(in.rows_q(), first, in.scale(), q);
  load_rows<rows, depth>(in.rows_g(), first, 1, g);
  // To the last tile and back: there dot is whole, and p and dp are still here. It is made of the
  // dp that it is taken off, so that where one key has all the weight ds is 0 and no rounding
  // error.
  const int tiles = (in.keys() + keys - 1) / keys;
  for (int step = 0; step < 2 * tiles - 1; ++step) {
    const int key = (step < tiles ? step : 2 * (tiles - 1) - step) * keys;
    float p[n][m], dp[n][m];
    __syncthreads();
    load_rows<keys, depth>(in.rows_v(), key, 1, kv);
    __syncthreads();
    multiply_rows<depth>(g, kv, dp);
    __syncthreads();
    load_rows<keys, depth>(in.rows_k(), key, 1, kv);
    __syncthreads();
    multiply_rows<depth>(q, kv, p);
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int j = 0; j < m; ++j) {
        const bool there = key + tx() + across * j < in.keys();
        p[i][j] = there ? of[i].probability(p[i][j]) : 0;
        if (step < tiles) of[i].dot += p[i][j] * dp[i][j];
      }
    if (step < tiles - 1) continue;
    if (step == tiles - 1)
#pragma unroll
      for (int i = 0; i < n; ++i) {
        of[i].dot = sum_across(of[i].dot);
        const int query = first + ty() + down * i;
        if (tx() == 0 && query < in.queries())
          dots[in.head() * in.heads.queries + query] = of[i].dot;
      }
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int j = 0; j < m; ++j) p[i][j] *= dp[i][j] - of[i].dot;
    put_weights<keys>(p, weights);
    add_rows<keys, depth>(weights, kv, sums);
  }
  write_rows<depth>(sums, in.scale(), first, in.queries(), in.depth(), in.heads.q.row,
                    dq + place(in.heads, in.heads.q, in.head(), 0));
}

template <int depth>
struct Keys {
  static constexpr int rows = depth > 64 ? 32 : 64, queries = 32, together = 3;
  static constexpr int floats =
      2 * tile_size<rows, depth> + 2 * tile_size<queries, depth> + tile_size<rows, queries>;
};

template <int depth>
__global__ void __launch_bounds__(tile_threads, Keys<depth>::together)
    keys_kernel(const Inputs in, const float* dots, float* dk, float* dv) {
  constexpr int rows = Keys<depth>::rows, queries = Keys<depth>::queries;
  constexpr int n = rows / down, m = queries / across;
  float* const k = shared_memory<float>();
  float* const v = k + tile_size<rows, depth>;
  float* const q = v + tile_size<rows, depth>;
  float* const g = q + tile_size<queries, depth>;
  float* const weights = g + tile_size<queries, depth>;
  const int first = in.first(rows);
  float k_sums[n][depth / across], v_sums[n][depth / across];
  clear(k_sums);
  clear(v_sums);
  load_rows<rows, depth>(in.rows_k(), first, 1, k);
  load_rows<rows, depth>(in.rows_v(), first, 1, v);
  for (int query = 0; query < in.queries(); query += queries) {
    float p[n][m], dp[n][m];
    __syncthreads();
    load_rows<queries, depth>(in.rows_q(), query, in.scale(), q);
    load_rows<queries, depth>(in.rows_g(), query, 1, g);
    __syncthreads();
    multiply_rows<depth>(k, q, p);
#pragma unroll
    for (int j = 0; j < m; ++j) {
      const Query of = Query::of(in, query + tx() + across * j, dots);
#pragma unroll
      for (int i = 0; i < n; ++i) p[i][j] = of.probability(p[i][j]);
    }
    put_weights<queries>(p, weights);
    add_rows<queries, depth>(weights, g, v_sums);
    multiply_rows<depth>(v, g, dp);
#pragma unroll
    for (int j = 0; j < m; ++j) {
      const float dot = Query::of(in, query + tx() + across * j, dots).dot;
#pragma unroll
      for (int i = 0; i < n; ++i) p[i][j] *= dp[i][j] - dot;
    }
    __syncthreads();
    put_weights<queries>(p, weights);
    add_rows<queries, depth>(weights, q, k_sums);
  }
  // q came scaled.
  write_rows<depth>(k_sums, 1, first, in.keys(), in.depth(), in.heads.k.row,
                    dk + place(in.heads, in.heads.k, in.head(), 0));
  write_rows<depth>(v_sums, 1, first, in.keys(), in.width(), in.heads.v.row,
                    dv + place(in.heads, in.heads.v, in.head(), 0));
}

}  // namespace

void tiled_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out) {
  constexpr const char* name = "attention_backward";
  const std::int64_t queries = heads.count() * heads.queries;
  Tensor dots = Tensor::empty({queries}, DType::float32, q.device());
  Inputs in = inputs_of(heads, q, k, v);
  in.grad = input<float>(grad);
  in.vector_y = in_fours(grad, heads.y, heads.width);
  in.largest = input<float>(value.largest);
  in.totals = input<float>(value.totals);
  with_depth(heads, [&]<int depth>() {
    launch_tiles<Queries<depth>>(name, queries_kernel<depth>, in, heads.queries,
                                 output<float>(dots), output<float>(out.q));
    launch_tiles<Keys<depth>>(name, keys_kernel<depth>, in, heads.keys, input<float>(dots),
                              output<float>(out.k), output<float>(out.v));
  });
}

}  // namespace ebb::cuda
