// Attention of the pixels to one another and to a text, as Rombach et al. 2022 (section 3.3) have
// it in their U-Net; parameter names are those of Hugging Face diffusers (Transformer2DModel).
#pragma once

#include <ebb/nn/layers/layers.h>
#include <ebb/tensor/random/random.h>

#include <vector>

namespace ebb {

// A text as a network is told it (nn/conditioning.h).
struct TextContext {
  Variable states;       // (N, S, D)
  Tensor mask = {};      // (N, S), not 0 where a token counts; undefined: all do
  Variable pooled = {};  // (N, P), all of it in one vector, for a network that takes one
  // Where it is given, each attention to the text adds its probabilities (N, heads, L, S) here, in
  // the order of the network; not with a mask.
  std::vector<Variable>* probabilities = nullptr;
};

// softmax(Q K^T / sqrt(d)) V with Q from x and K, V from a context (Vaswani et al. 2017, section
// 3.2.2). Queries, keys and values have no bias.
struct CrossAttention {
  CrossAttention(std::int64_t width, std::int64_t context_width, std::int64_t heads,
                 Generator& generator);
  // x (N, L, width), context (N, S, context_width); (N, L, width).
  Variable operator()(const Variable& x, const TextContext& context) const;
  // x attends to itself.
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v);

  Linear to_q, to_k, to_v, to_out;

 private:
  std::int64_t heads_;
};

// x W + b in two halves, a gelu(b), then back (GEGLU: Shazeer 2020, eq. 6).
struct GatedFeedForward {
  GatedFeedForward(std::int64_t width, Generator& generator);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v);

  Linear proj, out;  // width to 2 x 4 width, 4 width to width
};

// x + attention(x), + attention to the text, + feed forward, each after its LayerNorm.
struct BasicTransformerBlock {
  BasicTransformerBlock(std::int64_t width, std::int64_t context_width, std::int64_t heads,
                        Generator& generator);
  Variable operator()(Variable x, const TextContext& text) const;
  void visit(Visitor& v);

  LayerNorm norm1, norm2, norm3;
  CrossAttention attn1, attn2;
  GatedFeedForward ff;
};

// Where each place is, (height width, channels): a quarter of the channels each are sin(pi f u),
// cos(pi f u), sin(pi f v), cos(pi f v), u and v in (-1/2, 1/2) from the middle to the right and
// down, f even in [1, 4); the rest 0. The same places of a picture at any size.
Tensor position_embedding(std::int64_t height, std::int64_t width, std::int64_t channels);

// x + proj_out(blocks(proj_in(norm(x)))) over the pixels of x (N, H, W, channels).
struct Transformer2D {
  struct Options {
    std::int64_t channels = 0, context_width = 0, heads = 1, groups = 32, layers = 1;
    bool linear_projection = false;  // proj_in, proj_out: Linear, else 1x1 convolutions
    bool positions = false;          // position_embedding is added after proj_in
  };
  Transformer2D(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, const TextContext& text) const;
  void visit(Visitor& v);

  GroupNorm norm;
  Variable proj_in_weight, proj_in_bias, proj_out_weight, proj_out_bias;
  std::vector<BasicTransformerBlock> transformer_blocks;

 private:
  bool positions_;
};

}  // namespace ebb
