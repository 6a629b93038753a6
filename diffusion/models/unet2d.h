// UNet2D: the U-Net of Ho et al. 2020 and Nichol & Dhariwal 2021 as Hugging Face diffusers builds
// it (UNet2DModel), and with cross_attention_dim that of Rombach et al. 2022, which attends to a
// text (UNet2DConditionModel); with their parameter names and layouts, so that weights go both
// ways.
//
//   x -- stem -- conv_in -- down_blocks -- mid_block -- up_blocks -- norm, silu, conv_out -- stem
//                             |      \________________/     |
//                             |_____________________________|     skips, channels side by side
//
// t -> sinusoids -> time_embedding (two Linear), plus a learned row for the class, goes into every
// residual block. A text's states go into every level of cross-attention and the middle; one vector
// of all of it, where projection_class_embeddings_input_dim says so, beside the time.
#pragma once

#include <ebb/diffusion/models/model.h>
#include <ebb/diffusion/models/unet2d_blocks.h>

namespace ebb {

// Linear, SiLU, Linear.
struct ClassProjection {
  ClassProjection(std::int64_t in, std::int64_t out, Generator& generator);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v);

  Linear linear_1, linear_2;
};

class UNet2D final : public Model {
 public:
  // Parameters are drawn from `generator` as PyTorch initialises its layers. An Error if
  // check_config(config) is one.
  UNet2D(const UNet2DConfig& config, Generator& generator);

  // H and W must be multiples of patch_size 2^(levels - 1). With cross_attention_dim the states of
  // a text of that width are given, else Error.
  Variable operator()(const Variable& x, const Tensor& t, const Conditioning& given) const override;
  // The same with the text as it is computed now, so that its gradients reach what encodes it.
  Variable operator()(const Variable& x, const Tensor& t, const Conditioning& given,
                      const TextContext& text) const;
  void visit(Visitor& visitor) override;
  // num_class_embeds, less the null class.
  std::int64_t num_classes() const override;
  bool has_null_class() const override { return config_.null_class; }
  Conditioning understood(const Conditioning& all) const override;
  const UNet2DConfig& config() const { return config_; }

  // Zeroes the last layer of every residual branch and of the network, so that training starts
  // from the identity of each block (Goyal et al. 2017; Ho et al. 2020).
  void zero_last_layers();

 private:
  Variable embed(const Tensor& t, const Conditioning& given, const TextContext& text) const;

  UNet2DConfig config_;
  BlockOptions options_;
  Conv2d conv_in_;
  Linear time_linear_1_, time_linear_2_;
  std::optional<Embedding> class_embedding_;
  std::optional<ClassProjection> class_projection_;
  std::vector<DownBlock> down_blocks_;
  std::optional<MidBlock> mid_block_;
  std::vector<UpBlock> up_blocks_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

// diffusers' older names of attention weights (query, key, value, proj_attn) to today's; others
// stay.
std::vector<NamedTensor> modern_names(std::vector<NamedTensor> tensors);

}  // namespace ebb
