// The operations on Variables: names, shapes and errors of the tensor functions of the same name
// (tensor/ops: pointwise.h, reduce.h, layout.h, matmul.h, conv.h, norm.h, pool.h). In the .cpp
// files forward and backward rule stand side by side.
#pragma once

#include <ebb/autograd/variable.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>

namespace ebb {

// Pointwise (autograd/ops/pointwise.cpp). Every function of EBB_UNARY_LIST:
Variable unary(Unary function, const Variable& x, double a = 0, double b = 0);
#define EBB_DECLARE(name, ...) Variable name(const Variable& x);
EBB_PLAIN_LIST(EBB_DECLARE)
#undef EBB_DECLARE
Variable leaky_relu(const Variable& x, double slope = 0.01);
Variable pow(const Variable& x, double exponent);
Variable clamp(const Variable& x, double low, double high);
// Every function of EBB_BINARY_LIST; a tie of maximum or minimum gives half to each:
#define EBB_DECLARE(name, ...) Variable name(const Variable& a, const Variable& b);
EBB_BINARY_LIST(EBB_DECLARE)
#undef EBB_DECLARE
Variable add(const Variable& a, double b);
Variable mul(const Variable& a, double b);
Variable where(const Tensor& condition, const Variable& a, const Variable& b);

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator-(const Variable& a) { return neg(a); }
inline Variable operator+(const Variable& a, double b) { return add(a, b); }
inline Variable operator-(const Variable& a, double b) { return add(a, -b); }
inline Variable operator*(const Variable& a, double b) { return mul(a, b); }
inline Variable operator*(double a, const Variable& b) { return mul(b, a); }
inline Variable operator/(const Variable& a, double b) { return mul(a, 1.0 / b); }
inline Variable operator+(double a, const Variable& b) { return add(b, a); }
inline Variable operator-(double a, const Variable& b) { return add(neg(b), a); }
inline Variable operator/(double a, const Variable& b) { return mul(reciprocal(b), a); }

// Reductions (autograd/ops/reduce.cpp).
Variable sum(const Variable& x, const Dims& dims = {}, bool keepdim = false);
Variable mean(const Variable& x, const Dims& dims = {}, bool keepdim = false);
Variable var(const Variable& x, const Dims& dims = {}, bool unbiased = true, bool keepdim = false);
Variable std(const Variable& x, const Dims& dims = {}, bool unbiased = true, bool keepdim = false);
Variable amax(const Variable& x, const Dims& dims = {}, bool keepdim = false);  // ties share
Variable amin(const Variable& x, const Dims& dims = {}, bool keepdim = false);
Variable cumsum(const Variable& x, std::int64_t dim);
Variable cumprod(const Variable& x, std::int64_t dim);
Variable softmax(const Variable& x, std::int64_t dim);
Variable log_softmax(const Variable& x, std::int64_t dim);
// log sum e^x along `dim`, which is kept as 1 or removed; shifted by the maximum.
Variable logsumexp(const Variable& x, std::int64_t dim, bool keepdim = false);

// Layout (autograd/ops/layout.cpp).
Variable reshape(const Variable& x, const std::vector<std::int64_t>& sizes);
Variable permute(const Variable& x, const Dims& dims);
Variable transpose(const Variable& x, std::int64_t a, std::int64_t b);
Variable broadcast_to(const Variable& x, const Shape& shape);
Variable cat(const std::vector<Variable>& xs, std::int64_t dim);
Variable stack(const std::vector<Variable>& xs, std::int64_t dim);
inline Variable cat(std::initializer_list<Variable> xs, std::int64_t dim) {
  return cat(std::vector<Variable>(xs), dim);
}
inline Variable stack(std::initializer_list<Variable> xs, std::int64_t dim) {
  return stack(std::vector<Variable>(xs), dim);
}
Variable slice(const Variable& x, std::int64_t dim, std::int64_t start, std::int64_t stop,
               std::int64_t step = 1);
Variable select(const Variable& x, std::int64_t dim, std::int64_t index);
Variable squeeze(const Variable& x, std::int64_t dim);
Variable unsqueeze(const Variable& x, std::int64_t dim);
Variable flip(const Variable& x, const Dims& dims);
Variable pad(const Variable& x, const std::vector<std::int64_t>& widths, double value = 0);
Variable gather(const Variable& x, std::int64_t dim, const Tensor& index);
Variable index_select(const Variable& x, std::int64_t dim, const Tensor& index);
// weight (count, width), index int64 (...): rows, (..., width). Out of range is an Error.
Variable embedding(const Variable& weight, const Tensor& index);

// Products (autograd/ops/matmul.cpp, attention.cpp). An absent bias is an undefined Variable.
Variable matmul(const Variable& a, const Variable& b);
Variable linear(const Variable& x, const Variable& weight, const Variable& bias = {});
Variable scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                      double scale = 0);
// Which keys take part for which query. `mask` broadcasts to the scores (..., L, S): int64, 0 where
// a key is left out, or of q's dtype, added to the scores; or undefined. causal: key j for query i
// where j <= i. A query that no key is left for gets 0, as in PyTorch.
struct AttentionMask {
  Tensor mask = {};
  bool causal = false;
};
Variable scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                      const AttentionMask& mask, double scale = 0);
// qkv (N, L, 3 heads d): queries, keys and values side by side; (N, L, heads d).
Variable self_attention(const Variable& qkv, std::int64_t heads);
// q (N, L, heads d), k and v (N, S, heads d): heads side by side; (N, L, heads d).
Variable cross_attention(const Variable& q, const Variable& k, const Variable& v,
                         std::int64_t heads);

// Images (autograd/ops/conv.cpp, pool.cpp, norm.cpp).
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {}, Activation activation = Activation::none);
Variable conv_transpose2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                          const Conv2dOptions& options = {},
                          Activation activation = Activation::none);
Variable max_pool2d(const Variable& x, const Pool2dOptions& options = {});
Variable avg_pool2d(const Variable& x, const Pool2dOptions& options = {});
Variable interpolate(const Variable& x, std::int64_t height, std::int64_t width,
                     Interpolation mode);
Variable pixel_unshuffle(const Variable& x, std::int64_t r);
Variable pixel_shuffle(const Variable& x, std::int64_t r);
Variable group_norm(const Variable& x, std::int64_t groups, const Variable& weight = {},
                    const Variable& bias = {}, double eps = 1e-5, bool silu = false);
Variable layer_norm(const Variable& x, const Shape& shape, const Variable& weight = {},
                    const Variable& bias = {}, double eps = 1e-5);
// Batch statistics; their mean and biased variance go to `statistics` when it is given.
struct BatchStatistics {
  Tensor mean, var;
};
Variable batch_norm(const Variable& x, const Variable& weight = {}, const Variable& bias = {},
                    double eps = 1e-5, BatchStatistics* statistics = nullptr);
// x zero with probability p (mask from `keep`, 1 where kept), the rest scaled by 1 / (1 - p).
Variable dropout(const Variable& x, const Tensor& keep, double p);

// Losses (autograd/ops/loss.cpp): means over all elements, scalars.
Variable mse_loss(const Variable& input, const Variable& target);
Variable l1_loss(const Variable& input, const Variable& target);
// 0.5 d^2 where |d| <= delta, delta (|d| - delta / 2) beyond.
Variable huber_loss(const Variable& input, const Variable& target, double delta = 1.0);
// input (N, classes) logits, target int64 (N). A label out of range is an Error.
Variable cross_entropy(const Variable& input, const Tensor& target);
Variable binary_cross_entropy_with_logits(const Variable& input, const Variable& target);

// The operations that are made of others, of Tensors alone: a Tensor.
inline Tensor reshape(const Tensor& x, const std::vector<std::int64_t>& sizes) {
  return x.reshape(sizes);
}
inline Tensor embedding(const Tensor& weight, const Tensor& index) {
  return embedding(Variable(weight), index).value();
}
inline Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                           const AttentionMask& mask, double scale = 0) {
  return scaled_dot_product_attention(Variable(q), Variable(k), Variable(v), mask, scale).value();
}
inline Tensor logsumexp(const Tensor& x, std::int64_t dim, bool keepdim = false) {
  return logsumexp(Variable(x), dim, keepdim).value();
}
inline Tensor dropout(const Tensor& x, const Tensor& keep, double p) {
  return dropout(Variable(x), keep, p).value();
}
inline Tensor mse_loss(const Tensor& input, const Tensor& target) {
  return mse_loss(Variable(input), Variable(target)).value();
}
inline Tensor l1_loss(const Tensor& input, const Tensor& target) {
  return l1_loss(Variable(input), Variable(target)).value();
}
inline Tensor huber_loss(const Tensor& input, const Tensor& target, double delta = 1.0) {
  return huber_loss(Variable(input), Variable(target), delta).value();
}
inline Tensor cross_entropy(const Tensor& input, const Tensor& target) {
  return cross_entropy(Variable(input), target).value();
}
inline Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target) {
  return binary_cross_entropy_with_logits(Variable(input), Variable(target)).value();
}

}  // namespace ebb
