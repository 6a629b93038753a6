// The plain kernels: a block a row of the result, its scores made anew whenever they are needed,
// all sums in double.
//
//   s = scale q k^T, p = exp(s - largest) / total, y = p v; with g the gradient by y, dp = g v^T
//   and ds = p (dp - sum(p dp)): dq = scale ds k, dk = scale ds^T q, dv = p^T g
#include <ebb/tensor/cuda/attention/attention_kernels.h>
#include <ebb/tensor/cuda/common/block_reduce.h>
#include <ebb/tensor/cuda/launch.h>

#include <algorithm>

namespace ebb::cuda {

namespace {

constexpr unsigned row_threads = 128;

template <class T>
__device__ double product(std::int64_t n, const T* a, const T* b) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

// The sum of value(i), i < n, for all threads.
template <class Value>
__device__ double sum_of(std::int64_t n, double* shared, const Value& value) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += value(i);
  return block_reduce(sum, Add{}, shared);
}

// out = sum_i weight(i) row i of x, of `count` rows: a thread a column.
template <class T, class Weight>
__device__ void weighted_sum(std::int64_t count, const Weight& weight, const T* x,
                             std::int64_t stride, std::int64_t width, T* out, double* shared) {
  for (std::int64_t c = threadIdx.x; c - threadIdx.x < width; c += blockDim.x) {
    double sum = 0;
    for (std::int64_t first = 0; first < count; first += blockDim.x) {
      if (first + threadIdx.x < count) shared[threadIdx.x] = weight(first + threadIdx.x);
      __syncthreads();
      for (std::int64_t i = first; c < width && i < count && i < first + blockDim.x; ++i)
        sum += shared[i - first] * double(x[i * stride + c]);
      __syncthreads();
    }
    if (c < width) out[c] = T(sum);
  }
}

template <class T>
struct Attending {
  Heads heads;
  const T *q, *k, *v, *grad;
  const T *largest, *totals;
  const double* dots;  // sum(p dp) of each query

  struct Score {
    double p, dp;
  };
  // Of row i of all heads' queries, and of a key of the same head.
  __device__ double score(std::int64_t i, std::int64_t key) const {
    const std::int64_t head = i / heads.queries, query = i % heads.queries;
    return heads.scale * product(heads.depth, q + place(heads, heads.q, head, query),
                                 k + place(heads, heads.k, head, key));
  }
  __device__ Score scored(std::int64_t i, std::int64_t key) const {
    const std::int64_t head = i / heads.queries, query = i % heads.queries;
    return {std::exp(score(i, key) - double(largest[i])) / double(totals[i]),
            product(heads.width, grad + place(heads, heads.y, head, query),
                    v + place(heads, heads.v, head, key))};
  }
};

template <class T>
__global__ void plain_forward_kernel(std::int64_t rows, const Attending<T> of, T* y, T* largest,
                                     T* totals) {
  __shared__ double shared[row_threads];
  const Heads& heads = of.heads;
  for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    double most = -INFINITY;
    for (std::int64_t key = threadIdx.x; key < heads.keys; key += blockDim.x) {
      const double score = of.score(i, key);
      most = most < score ? score : most;
    }
    // As backward will have it.
    most = double(T(block_reduce(
        most, [](double a, double b) { return a < b ? b : a; }, shared)));
    const auto exponential = [&](std::int64_t key) { return std::exp(of.score(i, key) - most); };
    const double total = sum_of(heads.keys, shared, exponential);
    if (threadIdx.x == 0) {
      largest[i] = T(most);
      totals[i] = T(total);
    }
    const std::int64_t head = i / heads.queries, query = i % heads.queries;
    weighted_sum(
        heads.keys, [&](std::int64_t key) { return exponential(key) / total; },
        of.v + place(heads, heads.v, head, 0), heads.v.row, heads.width,
        y + place(heads, heads.y, head, query), shared);
  }
}

template <class T>
__global__ void plain_queries_kernel(std::int64_t rows, const Attending<T> of, double* dots,
                                     T* dq) {
  __shared__ double shared[row_threads];
  const Heads& heads = of.heads;
  for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    const double dot = sum_of(heads.keys, shared, [&](std::int64_t key) {
      const auto [p, dp] = of.scored(i, key);
      return p * dp;
    });
    if (threadIdx.x == 0) dots[i] = dot;
    const std::int64_t head = i / heads.queries, query = i % heads.queries;
    const auto ds = [&](std::int64_t key) {
      const auto [p, dp] = of.scored(i, key);
      return heads.scale * p * (dp - dot);
    };
    weighted_sum(heads.keys, ds, of.k + place(heads, heads.k, head, 0), heads.k.row, heads.depth,
                 dq + place(heads, heads.q, head, query), shared);
  }
}

template <class T>
__global__ void plain_keys_kernel(std::int64_t rows, const Attending<T> of, T* dk, T* dv) {
  __shared__ double shared[row_threads];
  const Heads& heads = of.heads;
  for (std::int64_t j = blockIdx.x; j < rows; j += gridDim.x) {
    const std::int64_t head = j / heads.keys, key = j % heads.keys, first = head * heads.queries;
    weighted_sum(
        heads.queries, [&](std::int64_t query) { return of.scored(first + query, key).p; },
        of.grad + place(heads, heads.y, head, 0), heads.y.row, heads.width,
        dv + place(heads, heads.v, head, key), shared);
    const auto ds = [&](std::int64_t query) {
      const auto [p, dp] = of.scored(first + query, key);
      return heads.scale * p * (dp - of.dots[first + query]);
    };
    weighted_sum(heads.queries, ds, of.q + place(heads, heads.q, head, 0), heads.q.row, heads.depth,
                 dk + place(heads, heads.k, head, key), shared);
  }
}

template <class... Parameters, class... Arguments>
void launch_rows(const char* name, void (*kernel)(Parameters...), std::int64_t rows,
                 Arguments&&... arguments) {
  launch(name, kernel, static_cast<unsigned>(std::min<std::int64_t>(rows, INT32_MAX)), row_threads,
         0, rows, std::forward<Arguments>(arguments)...);
}

}  // namespace

void plain_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out) {
  dispatch_floating("attention", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Attending<T> of{heads,   input<T>(q), input<T>(k), input<T>(v),
                          nullptr, nullptr,     nullptr,     nullptr};
    launch_rows("attention", plain_forward_kernel<T>, heads.count() * heads.queries, of,
                output<T>(out.y), output<T>(out.largest), output<T>(out.totals));
  });
}

void plain_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out) {
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t queries = heads.count() * heads.queries;
    Tensor dots = Tensor::empty({queries}, DType::float64, q.device());
    const Attending<T> of{heads,
                          input<T>(q),
                          input<T>(k),
                          input<T>(v),
                          input<T>(grad),
                          input<T>(value.largest),
                          input<T>(value.totals),
                          input<double>(dots)};
    launch_rows("attention_backward", plain_queries_kernel<T>, queries, of, output<double>(dots),
                output<T>(out.q));
    launch_rows("attention_backward", plain_keys_kernel<T>, heads.count() * heads.keys, of,
                output<T>(out.k), output<T>(out.v));
  });
}

}  // namespace ebb::cuda
