// Attention as its formula is (tensor/ops/matmul.h): a thread a query, forward and for its
// gradient; a thread a key for the gradients by keys and values.
#include <ebb/tensor/cuda/attention/attention_kernels.h>
#include <ebb/tensor/cuda/launch.h>

namespace ebb::cuda {

namespace {

template <class T>
__device__ double dot(const T* a, const T* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

__device__ inline std::int64_t begin_of(const Heads& heads, const HeadRows& rows,
                                        std::int64_t index) {
  return rows.first + index / heads.heads * rows.item + index % heads.heads * rows.head;
}

// Two walks over the keys: the largest score and the total, then the weighted sum of values, the
// scores computed again.
template <class T>
__global__ void attention_kernel(Heads heads, const T* q, const T* k, const T* v, T* y, T* largest,
                                 T* totals) {
  for (std::int64_t i = thread_index(); i < heads.items * heads.heads * heads.queries;
       i += thread_count()) {
    const std::int64_t head = i / heads.queries, row = i % heads.queries;
    const T* query = q + begin_of(heads, heads.q, head) + row * heads.q.row;
    const T* keys = k + begin_of(heads, heads.k, head);
    const T* values = v + begin_of(heads, heads.v, head);
    T* out = y + begin_of(heads, heads.y, head) + row * heads.y.row;
    double most = -INFINITY, total = 0;
    for (std::int64_t j = 0; j < heads.keys; ++j) {
      const double score = heads.scale * dot(query, keys + j * heads.k.row, heads.depth);
      most = most < score ? score : most;
    }
    for (std::int64_t c = 0; c < heads.width; ++c) {
      double sum = 0;
      total = 0;
      for (std::int64_t j = 0; j < heads.keys; ++j) {
        const double p =
            std::exp(heads.scale * dot(query, keys + j * heads.k.row, heads.depth) - most);
        total += p;
        sum += p * static_cast<double>(values[j * heads.v.row + c]);
      }
      out[c] = T(sum / total);
    }
    if (heads.width == 0)
      for (std::int64_t j = 0; j < heads.keys; ++j)
        total += std::exp(heads.scale * dot(query, keys + j * heads.k.row, heads.depth) - most);
    largest[i] = T(most);
    totals[i] = T(total);
  }
}

// p of a query and a key, and dp = g v.
template <class T>
struct Pair {
  double p, dp;
  __device__ Pair(const Heads& heads, const T* query, const T* key, const T* value, const T* g,
                  T largest, T total)
      : p(std::exp(heads.scale * dot(query, key, heads.depth) - static_cast<double>(largest)) /
          static_cast<double>(total)),
        dp(dot(g, value, heads.width)) {}
};

// D of each query, sum(p dp): ds = p (dp - D).
template <class T>
__global__ void shared_parts(Heads heads, const T* grad, const T* q, const T* k, const T* v,
                             const T* largest, const T* totals, double* parts) {
  for (std::int64_t i = thread_index(); i < heads.items * heads.heads * heads.queries;
       i += thread_count()) {
    const std::int64_t head = i / heads.queries, row = i % heads.queries;
    const T* query = q + begin_of(heads, heads.q, head) + row * heads.q.row;
    const T* g = grad + begin_of(heads, heads.y, head) + row * heads.y.row;
    const T* keys = k + begin_of(heads, heads.k, head);
    const T* values = v + begin_of(heads, heads.v, head);
    double sum = 0;
    for (std::int64_t j = 0; j < heads.keys; ++j) {
      const Pair<T> pair(heads, query, keys + j * heads.k.row, values + j * heads.v.row, g,
                         largest[i], totals[i]);
      sum += pair.p * pair.dp;
    }
    parts[i] = sum;
  }
}

template <class T>
__global__ void query_gradients(Heads heads, const T* grad, const T* q, const T* k, const T* v,
                                const T* largest, const T* totals, const double* parts, T* dq) {
  for (std::int64_t i = thread_index(); i < heads.items * heads.heads * heads.queries;
       i += thread_count()) {
    const std::int64_t head = i / heads.queries, row = i % heads.queries;
    const std::int64_t at = begin_of(heads, heads.q, head) + row * heads.q.row;
    const T* g = grad + begin_of(heads, heads.y, head) + row * heads.y.row;
    const T* keys = k + begin_of(heads, heads.k, head);
    const T* values = v + begin_of(heads, heads.v, head);
    for (std::int64_t c = 0; c < heads.depth; ++c) {
      double sum = 0;
      for (std::int64_t j = 0; j < heads.keys; ++j) {
        const T* key = keys + j * heads.k.row;
        const Pair<T> pair(heads, q + at, key, values + j * heads.v.row, g, largest[i], totals[i]);
        sum += pair.p * (pair.dp - parts[i]) * static_cast<double>(key[c]);
      }
      dq[at + c] = T(heads.scale * sum);
    }
  }
}

// Channel c of depth and width together: dk before dv.
template <class T>
__global__ void key_gradients(Heads heads, const T* grad, const T* q, const T* k, const T* v,
                              const T* largest, const T* totals, const double* parts, T* dk,
                              T* dv) {
  for (std::int64_t i = thread_index(); i < heads.items * heads.heads * heads.keys;
       i += thread_count()) {
    const std::int64_t head = i / heads.keys, row = i % heads.keys;
    const std::int64_t at_k = begin_of(heads, heads.k, head) + row * heads.k.row;
    const std::int64_t at_v = begin_of(heads, heads.v, head) + row * heads.v.row;
    const T* queries = q + begin_of(heads, heads.q, head);
    const T* grads = grad + begin_of(heads, heads.y, head);
    for (std::int64_t c = 0; c < heads.depth + heads.width; ++c) {
      double sum = 0;
      for (std::int64_t j = 0; j < heads.queries; ++j) {
        const std::int64_t n = head * heads.queries + j;
        const T *query = queries + j * heads.q.row, *g = grads + j * heads.y.row;
        const Pair<T> pair(heads, query, k + at_k, v + at_v, g, largest[n], totals[n]);
        sum += c < heads.depth
                   ? heads.scale * pair.p * (pair.dp - parts[n]) * static_cast<double>(query[c])
                   : pair.p * static_cast<double>(g[c - heads.depth]);
      }
      if (c < heads.depth)
        dk[at_k + c] = T(sum);
      else
        dv[at_v + c - heads.depth] = T(sum);
    }
  }
}

}  // namespace

void plain_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out) {
  const std::int64_t rows = heads.count() * heads.queries;
  dispatch_floating("attention", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("attention", attention_kernel<T>, blocks_for(rows), block_threads, 0, heads, input<T>(q),
           input<T>(k), input<T>(v), output<T>(out.y), output<T>(out.largest),
           output<T>(out.totals));
  });
}

void plain_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out) {
  const std::int64_t rows = heads.count() * heads.queries, keys = heads.count() * heads.keys;
  Tensor parts = Tensor::empty({rows}, DType::float64, q.device());
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *largest = input<T>(value.largest), *totals = input<T>(value.totals);
    launch("attention_backward", shared_parts<T>, blocks_for(rows), block_threads, 0, heads,
           input<T>(grad), input<T>(q), input<T>(k), input<T>(v), largest, totals,
           output<double>(parts));
    launch("attention_backward", query_gradients<T>, blocks_for(rows), block_threads, 0, heads,
           input<T>(grad), input<T>(q), input<T>(k), input<T>(v), largest, totals,
           input<double>(parts), output<T>(out.q));
    launch("attention_backward", key_gradients<T>, blocks_for(keys), block_threads, 0, heads,
           input<T>(grad), input<T>(q), input<T>(k), input<T>(v), largest, totals,
           input<double>(parts), output<T>(out.k), output<T>(out.v));
  });
}

}  // namespace ebb::cuda
