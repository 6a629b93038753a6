// The parts of UNet2D, with the parameter names of Hugging Face diffusers. Images are
// (N, H, W, C); `temb` is (N, time_channels), the embedding of time and class after its
// activation, and `text` what is attended to, which are the same in every block.
#pragma once

#include <ebb/diffusion/models/transformer2d.h>
#include <ebb/diffusion/models/unet2d_config.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/tensor/random/random.h>

#include <optional>

namespace ebb {

// What all blocks of a network have in common.
struct BlockOptions {
  std::int64_t time_channels;  // 0: blocks without a time, as an autoencoder has
  std::int64_t groups;
  double eps;
  bool scale_shift;    // how the time enters (ResnetBlock2D)
  std::string act_fn;  // silu, relu, gelu, mish
  Generator* generator;
};

// x + conv2(act(norm2(conv1(act(norm1(x))) + time))) (He et al. 2016; Ho et al. 2020), over
// `output_scale`. The time enters before norm2 as a shift of each channel, or with scale_shift
// after it as h (1 + scale) + shift (Nichol & Dhariwal 2021). x goes through a 1x1 convolution if
// the channels change. `resample` halves (2x2 mean) or doubles (nearest) both paths after act.
struct ResnetBlock2D {
  enum class Resample : std::uint8_t { none, down, up };

  ResnetBlock2D(std::int64_t in, std::int64_t out, const BlockOptions& options,
                Resample resample = Resample::none, double output_scale = 1);
  Variable operator()(const Variable& x, const Variable& temb = {}) const;
  void visit(Visitor& v);

  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;

 private:
  Variable normalize(const GroupNorm& norm, const Variable& x) const;
  Variable second_norm(const Variable& h, const Variable& time) const;

  bool scale_shift_;
  std::string act_fn_;
  Resample resample_;
  double output_scale_;
};

// Self-attention over the pixels (Vaswani et al. 2017) around a skip, over `output_scale`:
// `channels / head_dim` heads of `head_dim` channels. groups == 0: no normalisation before it.
struct SpatialAttention {
  SpatialAttention(std::int64_t channels, std::int64_t head_dim, std::int64_t groups, double eps,
                   Generator& generator, double output_scale = 1);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v);

  std::optional<GroupNorm> group_norm;
  Linear to_q, to_k, to_v, to_out;

 private:
  std::int64_t heads_;
  double output_scale_;
};

// Half the size: a 3x3 convolution of stride 2. padding 0 pads one zero row and column after.
struct Downsample2D {
  Downsample2D(std::int64_t channels, std::int64_t padding, Generator& generator);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v) { v("conv", conv); }

  Conv2d conv;

 private:
  bool pad_after_;
};

// Twice the size: nearest neighbour, then a 3x3 convolution.
struct Upsample2D {
  Upsample2D(std::int64_t channels, Generator& generator);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v) { v("conv", conv); }

  Conv2d conv;
};

// One level on the way down: `layers` residual blocks, each followed by attention in attention
// levels (to the text too in those of cross-attention), then half the size unless it is the last
// level. Every result is pushed onto `skips`.
struct DownBlock {
  DownBlock(LevelType type, std::int64_t in, std::int64_t out, bool last,
            const UNet2DConfig& config, const BlockOptions& options);
  Variable operator()(Variable x, const Variable& temb, const TextContext& text,
                      std::vector<Variable>& skips) const;
  void visit(Visitor& v);

  std::vector<ResnetBlock2D> resnets;
  std::vector<SpatialAttention> attentions;
  std::vector<Transformer2D> transformers;
  std::optional<Downsample2D> conv_downsampler;
  std::optional<ResnetBlock2D> resnet_downsampler;
};

// Residual block, attention (optional), residual block.
struct MidBlock {
  MidBlock(std::int64_t channels, const UNet2DConfig& config, const BlockOptions& options);
  Variable operator()(const Variable& x, const Variable& temb = {},
                      const TextContext& text = {}) const;
  void visit(Visitor& v);

  std::vector<ResnetBlock2D> resnets;
  std::optional<SpatialAttention> attention;
  std::optional<Transformer2D> transformer;
};

// One level on the way up: layers + 1 residual blocks, each on x beside the last of `skips`, which
// it takes away; then twice the size unless it is the last level.
struct UpBlock {
  // `previous` channels come from below, `skip` is the width of the level above.
  UpBlock(LevelType type, std::int64_t previous, std::int64_t skip, std::int64_t out, bool last,
          const UNet2DConfig& config, const BlockOptions& options);
  Variable operator()(Variable x, const Variable& temb, const TextContext& text,
                      std::vector<Variable>& skips) const;
  void visit(Visitor& v);

  std::vector<ResnetBlock2D> resnets;
  std::vector<SpatialAttention> attentions;
  std::vector<Transformer2D> transformers;
  std::optional<Upsample2D> conv_upsampler;
  std::optional<ResnetBlock2D> resnet_upsampler;
};

// The activation called `name`; an Error lists the known ones.
Variable activate(std::string_view name, const Variable& x);

}  // namespace ebb
