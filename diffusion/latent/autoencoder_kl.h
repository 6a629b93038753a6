// AutoencoderKL: a variational autoencoder (Kingma & Welling 2014) of images, the first stage of
// latent diffusion (Rombach et al. 2022, section 3.1), as Hugging Face diffusers builds it, with
// its parameter names and layouts, so that weights go both ways.
//
//   image -- encoder -- quant_conv --> mean, log variance -- sample --> latent
//   latent -- post_quant_conv -- decoder --> image
#pragma once

#include <ebb/diffusion/models/unet2d_blocks.h>

#include <optional>
#include <vector>

namespace ebb {

struct AutoencoderKLConfig {  // names of diffusers'
  std::int64_t in_channels = 3, out_channels = 3, latent_channels = 4;
  std::vector<std::int64_t> block_out_channels{64};
  std::int64_t layers_per_block = 1;
  std::int64_t norm_num_groups = 32;
  std::string act_fn = "silu";  // of the residual blocks: silu, relu, gelu, mish
  bool mid_block_add_attention = true;
  bool use_quant_conv = true, use_post_quant_conv = true;
  // Latents for diffusion are (z - shift_factor) scaling_factor, so that their mean is 0 and their
  // standard deviation 1.
  double scaling_factor = 0.18215, shift_factor = 0;
};
// An Error that names the option and what is allowed.
void check_config(const AutoencoderKLConfig& config);
// Sizes for images of `channels` channels, latents of a quarter of their height and width:
//   tiny    0.1 M parameters, for tests and demonstrations
//   small   minutes on two cores
//   medium  hours
//   large   as deep as Rombach et al. 2022 have it
// An unknown name is an Error that lists these.
AutoencoderKLConfig autoencoder_preset(std::string_view name, std::int64_t channels);

// N(mean, exp(log_variance)) for each element; log_variance is kept within [-30, 20].
struct DiagonalGaussian {
  explicit DiagonalGaussian(const Variable& moments);  // (..., 2 C): mean, log variance

  Variable sample(const Tensor& eps) const;  // mean + std eps (Kingma & Welling 2014, eq. 10)
  // KL(N(mean, var) || N(0, 1)) in nats, summed over all but the first dimension, (N): 0.5
  // sum(mean^2
  // + var - 1 - log var) (Kingma & Welling 2014, app. B).
  Variable kl() const;

  Variable mean, log_variance;
};

// Residual blocks, at each level but the last halved, attention in the middle.
struct Encoder {
  Encoder(const AutoencoderKLConfig& config, const BlockOptions& options);
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v);

  Conv2d conv_in;
  std::vector<DownBlock> down_blocks;
  std::optional<MidBlock> mid_block;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

// The way back, with one more residual block at each level.
struct Decoder {
  Decoder(const AutoencoderKLConfig& config, const BlockOptions& options);
  Variable operator()(const Variable& z) const;
  void visit(Visitor& v);

  struct Level {
    std::vector<ResnetBlock2D> resnets;
    std::optional<Upsample2D> upsampler;
    void visit(Visitor& v);
  };

  Conv2d conv_in;
  std::optional<MidBlock> mid_block;
  std::vector<Level> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

class AutoencoderKL {
 public:
  // Parameters are drawn from `generator` as PyTorch initialises its layers. An Error if
  // check_config(config) is one.
  AutoencoderKL(const AutoencoderKLConfig& config, Generator& generator);

  // x (N, H, W, in_channels), H and W multiples of factor(); the distribution of its latents (N, H
  // / factor(), W / factor(), latent_channels).
  DiagonalGaussian encode(const Variable& x) const;
  // Latents as `encode` gives them, not scaled, to images (N, H, W, out_channels).
  Variable decode(const Variable& z) const;

  // Latents to what diffusion works on, and back: scaling_factor and shift_factor.
  Tensor scaled(const Tensor& z) const;
  Tensor unscaled(const Tensor& z) const;
  void set_scale(double scaling_factor, double shift_factor);

  void visit(Visitor& v);
  const AutoencoderKLConfig& config() const { return config_; }
  // Pixels a side for one of a latent: 2^(levels - 1).
  std::int64_t factor() const;

 private:
  AutoencoderKL(const AutoencoderKLConfig& config, BlockOptions options);

  AutoencoderKLConfig config_;
  Encoder encoder_;
  Decoder decoder_;
  std::optional<Conv2d> quant_conv_, post_quant_conv_;
};

}  // namespace ebb
