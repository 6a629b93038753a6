#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/init.h>
#include <ebb/nn/layers/multihead_attention.h>

namespace ebb {

namespace {

void check_sequence(const Variable& x, std::int64_t width) {
  check(x.rank() == 3, "MultiheadAttention: x {} is not (N, L, {}); reshape it", x.shape(), width);
}

}  // namespace

MultiheadAttention::MultiheadAttention(const Options& o, Generator& generator) : options(o) {
  check(o.heads > 0 && o.width > 0 && o.width % o.heads == 0,
        "MultiheadAttention: width {} with {} heads; width must be a positive multiple", o.width,
        o.heads);
  // PyTorch draws out_proj first, bias included, and then sets that to zero.
  out_proj = Linear({.in = o.width, .out = o.width, .bias = o.bias}, generator);
  in_proj_weight = xavier_uniform({3 * o.width, o.width}, generator);
  if (!o.bias) return;
  out_proj.bias = constant_parameter({o.width}, 0);
  in_proj_bias = constant_parameter({3 * o.width}, 0);
}

Variable MultiheadAttention::operator()(const Variable& x) const {
  check_sequence(x, options.width);
  return out_proj(self_attention(linear(x, in_proj_weight, in_proj_bias), options.heads));
}

Variable MultiheadAttention::operator()(const Variable& query, const Variable& key,
                                        const Variable& value, const AttentionMask& mask) const {
  check_sequence(query, options.width);
  const auto project = [&](const Variable& x, std::int64_t part) {
    const std::int64_t begin = part * options.width, end = begin + options.width;
    return linear(x, slice(in_proj_weight, 0, begin, end),
                  in_proj_bias.defined() ? slice(in_proj_bias, 0, begin, end) : Variable());
  };
  const auto split_heads = [&](const Variable& x) {  // (N, L, width) to (N, heads, L, d)
    const Variable parts =
        reshape(x, {x.size(0), x.size(1), options.heads, options.width / options.heads});
    return permute(parts, {0, 2, 1, 3});
  };
  const Variable y =
      scaled_dot_product_attention(split_heads(project(query, 0)), split_heads(project(key, 1)),
                                   split_heads(project(value, 2)), mask);
  return out_proj(reshape(permute(y, {0, 2, 1, 3}), {query.size(0), query.size(1), options.width}));
}

}  // namespace ebb
