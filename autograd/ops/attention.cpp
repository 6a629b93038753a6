#include <ebb/autograd/ops.h>

#include <cmath>
#include <limits>

namespace ebb {

Variable scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                      double scale) {
  const char* const name = "scaled_dot_product_attention";
  const Attended value = scaled_dot_product_attention(q.value(), k.value(), v.value(), scale);
  return Variable::record(
      name, value.y, {q, k, v},
      [scale, q = Saved(name, q.value()), k = Saved(name, k.value()), v = Saved(name, v.value()),
       kept = Attended{{}, value.largest, value.totals}](const Tensor& grad,
                                                         const Needs&) -> std::vector<Tensor> {
        AttentionGradients gradients =
            scaled_dot_product_attention_backward(grad, q.get(), k.get(), v.get(), kept, scale);
        return {gradients.q, gradients.k, gradients.v};
      });
}

namespace {

// What is added to the scores, of rank 2 or more, or undefined.
Tensor score_bias(const AttentionMask& mask, std::int64_t queries, std::int64_t keys,
                  const Tensor& like) {
  const auto without = [&](const Tensor& kept) {
    const Tensor zeros = Tensor::zeros(kept.shape(), like.dtype(), like.device());
    return where(kept, zeros, -std::numeric_limits<double>::infinity());
  };
  Tensor bias;
  if (mask.mask.defined()) {
    const bool chosen = mask.mask.dtype() == DType::int64;
    check(chosen || mask.mask.dtype() == like.dtype(),
          "scaled_dot_product_attention: a mask of {} for {}; give int64 or the operands' dtype",
          mask.mask.dtype(), like.dtype());
    bias = chosen ? without(mask.mask) : mask.mask;
    if (bias.rank() == 1) bias = bias.unsqueeze(0);
  }
  if (mask.causal) {
    const Tensor row = Tensor::arange(queries).to(like.device()).unsqueeze(1);
    const Tensor future = without(row >= Tensor::arange(keys).to(like.device()));
    bias = bias.defined() ? bias + future : future;
  }
  return bias;
}

}  // namespace

Variable scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                      const AttentionMask& mask, double scale) {
  if (!mask.mask.defined() && !mask.causal) return scaled_dot_product_attention(q, k, v, scale);
  check(q.rank() >= 2 && k.rank() >= 2, "scaled_dot_product_attention: query {}, key {}", q.shape(),
        k.shape());
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const Tensor bias = score_bias(mask, q.size(-2), k.size(-2), q.value());
  const Variable scores = matmul(q, transpose(k, -2, -1)) * scale + bias;
  // Rows without a key would be 0 / 0.
  const Tensor open = amax(bias, {-1}, true) > -std::numeric_limits<double>::infinity();
  const Tensor zero = Tensor::scalar(0, q.dtype(), q.device());
  return matmul(softmax(where(open, scores, zero), -1), v) * open;
}

Variable self_attention(const Variable& qkv, std::int64_t heads) {
  const char* const name = "self_attention";
  const Attended value = self_attention(qkv.value(), heads);
  return Variable::record(
      name, value.y, {qkv},
      [heads, qkv = Saved(name, qkv.value()), kept = Attended{{}, value.largest, value.totals}](
          const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {self_attention_backward(grad, qkv.get(), heads, kept)};
      });
}

Variable cross_attention(const Variable& q, const Variable& k, const Variable& v,
                         std::int64_t heads) {
  const char* const name = "cross_attention";
  const Attended value = cross_attention(q.value(), k.value(), v.value(), heads);
  return Variable::record(
      name, value.y, {q, k, v},
      [heads, q = Saved(name, q.value()), k = Saved(name, k.value()), v = Saved(name, v.value()),
       kept = Attended{{}, value.largest, value.totals}](const Tensor& grad,
                                                         const Needs&) -> std::vector<Tensor> {
        AttentionGradients gradients =
            cross_attention_backward(grad, q.get(), k.get(), v.get(), heads, kept);
        return {gradients.q, gradients.k, gradients.v};
      });
}

}  // namespace ebb
