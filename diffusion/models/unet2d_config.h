// What a UNet2D is built from: the options of Hugging Face diffusers' UNet2DModel, and of its
// UNet2DConditionModel where a text is attended to, under their names there, and three of our own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

// The kinds of a level: (Down|Up)Block2D, Attn(Down|Up)Block2D, Resnet(Down|Up)sampleBlock2D,
// CrossAttn(Down|Up)Block2D.
enum class LevelType : std::uint8_t { plain, attention, resnet, cross_attention };
// "AttnDownBlock2D" and the like, both ways; an unknown name is an Error that lists the known.
LevelType level_type(std::string_view name);
std::string_view down_block_name(LevelType type);
std::string_view up_block_name(LevelType type);

struct UNet2DConfig {
  std::int64_t in_channels = 3, out_channels = 3;  // of the network, after the stem
  bool center_input_sample = false;                // 2 x - 1 first
  double freq_shift = 0;
  bool flip_sin_to_cos = true;
  std::vector<LevelType> down_block_types{LevelType::plain, LevelType::attention,
                                          LevelType::attention, LevelType::attention};
  std::vector<LevelType> up_block_types{LevelType::attention, LevelType::attention,
                                        LevelType::attention, LevelType::plain};
  std::vector<std::int64_t> block_out_channels{224, 448, 672, 896};
  std::int64_t layers_per_block = 2;
  double mid_block_scale_factor = 1;
  std::int64_t downsample_padding = 1;   // 0: one zero row and column after the image
  std::string downsample_type = "conv";  // of attention levels: conv, resnet
  std::string upsample_type = "conv";    // of attention levels: conv, resnet
  std::string act_fn = "silu";           // of the residual blocks: silu, relu, gelu, mish
  // Channels of a head; 0: one head of all channels (diffusers: null). Of a network with a text:
  // the number of heads, as diffusers has it.
  std::int64_t attention_head_dim = 8;
  std::int64_t norm_num_groups = 32;
  std::int64_t attn_norm_num_groups = 0;  // of the middle's attention; 0: as diffusers has it
  double norm_eps = 1e-5;
  std::string resnet_time_scale_shift = "default";  // default, scale_shift
  bool add_attention = true;                        // in the middle
  std::int64_t num_class_embeds = 0;                // rows of the class embedding; 0: none

  // Width of the text's states, which levels of cross_attention and the middle attend to; 0: no
  // text. Levels of a network with a text are plain or cross_attention.
  std::int64_t cross_attention_dim = 0;
  std::int64_t transformer_layers_per_block = 1;
  bool use_linear_projection = false;
  // Width of what sums up the text, which is added to the time embedding after two linear layers
  // (diffusers: class_embed_type "projection"); 0: none.
  std::int64_t projection_class_embeddings_input_dim = 0;

  // Our own. The last class embedding means "no class"; the stem: pixels are taken in squares of
  // this size as channels, so the network sees (H / p, W / p, C p p); and whether each place of a
  // level of cross-attention is told where it is (position_embedding in transformer2d.h), without
  // which a network hardly learns which of two things a text puts on which side.
  bool null_class = false;
  std::int64_t patch_size = 1;
  bool position_embedding = false;
};

// An Error that names the option and what is allowed, unless a network can be built from `config`.
void check_config(const UNet2DConfig& config);

// Height and width of its images are multiples of this.
std::int64_t side_multiple(const UNet2DConfig& config);

// No fewer parameters than the network has, nor many times more: to ask before it is built.
double parameter_bound(const UNet2DConfig& config);

// Sizes for images of `channels` channels with `classes` classes (0: none) and a null class, or
// with a text of `text_width` (0: none):
//   tiny    0.1 M parameters, for tests and demonstrations
//   small   28x28 and 32x32, minutes on two cores
//   medium  32x32 and 64x64, hours
//   large   the CIFAR-10 network of Ho et al. 2020, 36 M
// An unknown name is an Error that lists these.
UNet2DConfig unet2d_preset(std::string_view name, std::int64_t channels, std::int64_t classes,
                           std::int64_t text_width = 0);

}  // namespace ebb
