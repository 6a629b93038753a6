// Attention by blocks of query rows: a block's scores and probabilities stay in cache and are
// never a tensor.
#include <ebb/tensor/cpu/attention.h>
#include <ebb/tensor/cpu/gemm.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/softmax.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/walk.h>

namespace ebb::cpu {

namespace {

constexpr std::int64_t block_rows = 64;

template <class T>
Matrix<T> rows(const T* data, std::int64_t columns) {
  return {data, columns, 1};
}
template <class T>
Matrix<T> transposed(const T* data, std::int64_t columns) {
  return {data, 1, columns};
}

struct Scaled;
struct Probabilities;
struct Gradients;

template <class T>
struct Attention {
  std::int64_t queries, keys, depth, width;
  T scale;
  SoftmaxLoops<T> softmax = softmax_loops<T>();

  Attention(const Tensor& q, const Tensor& v, double scale_)
      : queries(q.size(1)),
        keys(v.size(1)),
        depth(q.size(2)),
        width(v.size(2)),
        scale(static_cast<T>(scale_)) {}

  // softmax(scale q k^T) for `count` rows of q.
  T* probabilities(const T* q, const T* k, std::int64_t count) const {
    T* scaled = scratch<Scaled, T>(block_rows * depth);
    for (std::int64_t i = 0; i < count * depth; ++i) scaled[i] = scale * q[i];
    T* p = scratch<Probabilities, T>(block_rows * keys);
    gemm(count, keys, depth, rows<T>(scaled, depth), transposed(k, depth), p, keys);
    softmax.forward(false, p, count, keys, p);
    return p;
  }

  void forward(const T* q, const T* k, const T* v, std::int64_t count, T* out) const {
    const T* p = probabilities(q, k, count);
    gemm(count, width, keys, rows(p, keys), rows(v, width), out, width);
  }

  // One head. With p the probabilities and s the scores: dv = p^T g, dp = g v^T,
  // dq = scale ds k, dk = scale ds^T q, the last two sums over blocks in order.
  void backward(const T* g, const T* q, const T* k, const T* v, T* dq, T* dk, T* dv) const {
    Epilogue<T> add;
    for (std::int64_t first = 0; first < queries; first += block_rows, add.accumulate = true) {
      const std::int64_t count = std::min(block_rows, queries - first);
      const T *q_rows = q + first * depth, *g_rows = g + first * width;
      const T* p = probabilities(q_rows, k, count);
      T* ds = scratch<Gradients, T>(block_rows * keys);
      gemm(count, keys, width, rows(g_rows, width), transposed(v, width), ds, keys);
      softmax.backward(false, ds, p, count, keys, ds);
      gemm(keys, width, count, transposed(p, keys), rows(g_rows, width), dv, width, add);
      for (std::int64_t i = 0; i < count * keys; ++i) ds[i] *= scale;
      gemm(count, depth, keys, rows<T>(ds, keys), rows(k, depth), dq + first * depth, depth);
      gemm(keys, depth, count, transposed<T>(ds, keys), rows(q_rows, depth), dk, depth, add);
    }
  }
};

}  // namespace

void attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& out) {
  if (out.numel() == 0 || k.numel() == 0) return attention_reference(q, k, v, scale, out);
  dispatch_floating("attention", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Attention<T> task(q, v, scale);
    const std::int64_t blocks = (task.queries + block_rows - 1) / block_rows;
    parallel_for(q.size(0) * blocks, 1, [&](std::int64_t i, std::int64_t) {
      const std::int64_t head = i / blocks, first = i % blocks * block_rows;
      const std::int64_t row = head * task.queries + first;
      task.forward(input<T>(q) + row * task.depth, input<T>(k) + head * task.keys * task.depth,
                   input<T>(v) + head * task.keys * task.width,
                   std::min(block_rows, task.queries - first), output<T>(out) + row * task.width);
    });
  });
}

void attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                        double scale, AttentionGradients& out) {
  if (grad.numel() == 0 || k.numel() == 0)
    return attention_backward_reference(grad, q, k, v, scale, out);
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Attention<T> task(q, v, scale);
    parallel_for(q.size(0), 1, [&](std::int64_t head, std::int64_t) {
      const std::int64_t at_q = head * task.queries * task.depth;
      const std::int64_t at_k = head * task.keys * task.depth;
      const std::int64_t at_v = head * task.keys * task.width;
      task.backward(input<T>(grad) + head * task.queries * task.width, input<T>(q) + at_q,
                    input<T>(k) + at_k, input<T>(v) + at_v, output<T>(out.q) + at_q,
                    output<T>(out.k) + at_k, output<T>(out.v) + at_v);
    });
  });
}

void add_attention_kernels(Kernels& table) {
  table.attention = attention;
  table.attention_backward = attention_backward;
}

}  // namespace ebb::cpu
