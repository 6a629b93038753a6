#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/transformer2d.h>
#include <ebb/nn/layers/init.h>

#include <cmath>
#include <numbers>

namespace ebb {

CrossAttention::CrossAttention(std::int64_t width, std::int64_t context_width, std::int64_t heads,
                               Generator& generator)
    : to_q({.in = width, .out = width, .bias = false}, generator),
      to_k({.in = context_width, .out = width, .bias = false}, generator),
      to_v({.in = context_width, .out = width, .bias = false}, generator),
      to_out({.in = width, .out = width}, generator),
      heads_(heads) {}

Variable CrossAttention::operator()(const Variable& x) const {
  const Variable qkv = linear(x, cat({to_q.weight, to_k.weight, to_v.weight}, 0));
  return to_out(self_attention(qkv, heads_));
}

Variable CrossAttention::operator()(const Variable& x, const TextContext& context) const {
  const Variable q = to_q(x), k = to_k(context.states), v = to_v(context.states);
  if (!context.mask.defined() && !context.probabilities)
    return to_out(cross_attention(q, k, v, heads_));
  const auto split_heads = [&](const Variable& y) {  // (N, L, width) to (N, heads, L, d)
    return permute(reshape(y, {y.size(0), y.size(1), heads_, y.size(2) / heads_}), {0, 2, 1, 3});
  };
  const Tensor& mask = context.mask;
  Variable y;
  if (context.probabilities) {
    check(!mask.defined(), "cross-attention: no probabilities are kept of a masked text");
    const double scale = 1 / std::sqrt(static_cast<double>(x.size(2) / heads_));
    const Variable p =
        softmax(scale * matmul(split_heads(q), transpose(split_heads(k), -2, -1)), -1);
    context.probabilities->push_back(p);
    y = matmul(p, split_heads(v));
  } else {
    y = scaled_dot_product_attention(
        split_heads(q), split_heads(k), split_heads(v),
        AttentionMask{mask.reshape({mask.size(0), 1, 1, mask.size(1)}), false});
  }
  return to_out(reshape(permute(y, {0, 2, 1, 3}), x.shape().vector()));
}

void CrossAttention::visit(Visitor& v) {
  v("to_q", to_q);
  v("to_k", to_k);
  v("to_v", to_v);
  v("to_out.0", to_out);
}

GatedFeedForward::GatedFeedForward(std::int64_t width, Generator& generator)
    : proj({.in = width, .out = 8 * width}, generator),
      out({.in = 4 * width, .out = width}, generator) {}

Variable GatedFeedForward::operator()(const Variable& x) const {
  // A product for each half: to cut one's result in two would cost a pass over all of it.
  const std::vector<Variable> weights = split(proj.weight, 4 * x.size(-1), 0),
                              biases = split(proj.bias, 4 * x.size(-1), 0);
  return out(linear(x, weights[0], biases[0]) * gelu(linear(x, weights[1], biases[1])));
}

void GatedFeedForward::visit(Visitor& v) {
  v("net.0.proj", proj);
  v("net.2", out);
}

BasicTransformerBlock::BasicTransformerBlock(std::int64_t width, std::int64_t context_width,
                                             std::int64_t heads, Generator& generator)
    : norm1({.shape = {width}}),
      norm2({.shape = {width}}),
      norm3({.shape = {width}}),
      attn1(width, width, heads, generator),
      attn2(width, context_width, heads, generator),
      ff(width, generator) {}

Variable BasicTransformerBlock::operator()(Variable x, const TextContext& text) const {
  x = x + attn1(norm1(x));
  x = x + attn2(norm2(x), text);
  return x + ff(norm3(x));
}

void BasicTransformerBlock::visit(Visitor& v) {
  v("norm1", norm1);
  v("attn1", attn1);
  v("norm2", norm2);
  v("attn2", attn2);
  v("norm3", norm3);
  v("ff", ff);
}

Tensor position_embedding(std::int64_t height, std::int64_t width, std::int64_t channels) {
  const std::int64_t quarter = channels / 4;
  std::vector<float> values(static_cast<std::size_t>(height * width * channels));
  for (std::int64_t place = 0; place < height * width; ++place) {
    const auto middle = [](std::int64_t i, std::int64_t n) {
      return (static_cast<double>(i) + 0.5) / static_cast<double>(n) - 0.5;
    };
    const double u = middle(place % width, width), v = middle(place / width, height);
    float* const to = values.data() + place * channels;
    for (std::int64_t k = 0; k < quarter; ++k) {
      const double f =
          std::numbers::pi * (1 + 3.0 * static_cast<double>(k) / static_cast<double>(quarter));
      to[k] = static_cast<float>(std::sin(f * u));
      to[quarter + k] = static_cast<float>(std::cos(f * u));
      to[2 * quarter + k] = static_cast<float>(std::sin(f * v));
      to[3 * quarter + k] = static_cast<float>(std::cos(f * v));
    }
  }
  return Tensor::from(values).reshape({height * width, channels});
}

Transformer2D::Transformer2D(const Options& o, Generator& generator)
    : norm({.groups = o.groups, .channels = o.channels, .eps = 1e-6}), positions_(o.positions) {
  const Shape shape =
      o.linear_projection ? Shape{o.channels, o.channels} : Shape{o.channels, o.channels, 1, 1};
  proj_in_weight = default_weight(shape, generator);
  proj_in_bias = default_bias(o.channels, shape, true, generator);
  for (std::int64_t i = 0; i < o.layers; ++i)
    transformer_blocks.emplace_back(o.channels, o.context_width, o.heads, generator);
  proj_out_weight = default_weight(shape, generator);
  proj_out_bias = default_bias(o.channels, shape, true, generator);
}

Variable Transformer2D::operator()(const Variable& x, const TextContext& text) const {
  const std::int64_t c = x.size(3);
  Variable h = reshape(norm(x), {x.size(0), x.size(1) * x.size(2), c});
  h = linear(h, reshape(proj_in_weight, {c, c}), proj_in_bias);
  if (positions_) h = h + position_embedding(x.size(1), x.size(2), c).to(x.dtype()).to(x.device());
  for (const BasicTransformerBlock& block : transformer_blocks) h = block(h, text);
  h = linear(h, reshape(proj_out_weight, {c, c}), proj_out_bias);
  return x + reshape(h, x.shape().vector());
}

void Transformer2D::visit(Visitor& v) {
  v("norm", norm);
  v("proj_in.weight", proj_in_weight);
  v("proj_in.bias", proj_in_bias);
  v("transformer_blocks", transformer_blocks);
  v("proj_out.weight", proj_out_weight);
  v("proj_out.bias", proj_out_bias);
}

}  // namespace ebb
