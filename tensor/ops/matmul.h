// Matrix products.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

// PyTorch's rule: (m,k)(k,n); leading dimensions broadcast as a batch; a 1-d operand is a row or
// column that disappears from the result.
Tensor matmul(const Tensor& a, const Tensor& b);

// The product of two stacks (..., m, k)(..., k, n), equal batch shapes; trans_x reads the operand
// with its last two dimensions exchanged. An output row depends only on its own row of a and on
// b, in a fixed order of additions: its bits do not change with m, the batch or the threads.
Tensor bmm(const Tensor& a, const Tensor& b, bool trans_a = false, bool trans_b = false);

// y = x W^T + bias. x (..., in), weight (out, in), bias (out) or undefined; y (..., out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// The value, as which it may be used, and what backward needs: of each query the
// largest of its scores (scale q k) and the total of exp(score - largest) over the keys, from which
// a block of probabilities is recomputed. Kept apart: in their logarithm's sum a large score would
// hide the total.
struct Attended {
  Tensor y, largest, totals;
  operator const Tensor&() const { return y; }  // NOLINT
};
struct AttentionGradients {
  Tensor q, k, v;
};

// Scaled dot-product attention, softmax(q k^T / sqrt(d)) v (Vaswani et al. 2017, eq. 1).
// q (..., L, d), k (..., S, d), v (..., S, e); y (..., L, e), largest and totals (..., L). scale =
// 0 means 1/sqrt(d).
Attended scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      double scale = 0);
AttentionGradients scaled_dot_product_attention_backward(const Tensor& grad, const Tensor& q,
                                                         const Tensor& k, const Tensor& v,
                                                         const Attended& value, double scale = 0);

// The same for each head of self-attention, with queries, keys and values side by side as one
// product makes them: qkv (N, L, 3 heads d), of which the first heads d are the queries of all
// heads. y (N, L, heads d), largest and totals (N, heads, L). Another shape is an Error.
Attended self_attention(const Tensor& qkv, std::int64_t heads);
// The gradient by qkv.
Tensor self_attention_backward(const Tensor& grad, const Tensor& qkv, std::int64_t heads,
                               const Attended& value);

// The same of queries to the keys and values of others: q (N, L, heads d), k and v
// (N, S, heads d). Shapes that do not fit are an Error.
Attended cross_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads);
AttentionGradients cross_attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k,
                                            const Tensor& v, std::int64_t heads,
                                            const Attended& value);

}  // namespace ebb
