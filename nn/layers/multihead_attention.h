// Multi-head attention (Vaswani et al. 2017, section 3.2.2), torch.nn.MultiheadAttention with
// batch_first: the same names, first values and result.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/linear.h>

namespace ebb {

struct MultiheadAttention {
  struct Options {
    std::int64_t width = 0, heads = 1;  // width is a multiple of heads
    bool bias = true;
  };
  MultiheadAttention() = default;
  MultiheadAttention(const Options& options, Generator& generator);

  // Self-attention. x (N, L, width), result the same.
  Variable operator()(const Variable& x) const;
  // query (N, L, width), key and value (N, S, width); result (N, L, width).
  // `mask` as in autograd/ops.h, its scores (N, heads, L, S).
  Variable operator()(const Variable& query, const Variable& key, const Variable& value,
                      const AttentionMask& mask = {}) const;
  void visit(Visitor& v) {
    v("in_proj_weight", in_proj_weight);
    v("in_proj_bias", in_proj_bias);
    v("out_proj", out_proj);
  }

  Linear out_proj;
  Variable in_proj_weight, in_proj_bias;  // (3 width, width), (3 width): query, key, value
  Options options;
};

}  // namespace ebb
