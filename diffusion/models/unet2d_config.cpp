#include <ebb/diffusion/models/unet2d_config.h>
#include <ebb/tensor/error.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace ebb {

namespace {

struct LevelNames {
  LevelType type;
  std::string_view down, up;
};
constexpr std::array<LevelNames, 4> level_names{
    {{LevelType::plain, "DownBlock2D", "UpBlock2D"},
     {LevelType::attention, "AttnDownBlock2D", "AttnUpBlock2D"},
     {LevelType::resnet, "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"},
     {LevelType::cross_attention, "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"}}};

const LevelNames& names_of(LevelType type) {
  return *std::find_if(level_names.begin(), level_names.end(),
                       [&](const LevelNames& names) { return names.type == type; });
}

void check_one_of(std::string_view option, std::string_view value,
                  std::initializer_list<std::string_view> allowed) {
  check(std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
        "UNet2D: {} '{}' is unknown; allowed: {}", option, value, fmt::join(allowed, ", "));
}

void check_at_least(std::string_view option, std::int64_t value, std::int64_t low) {
  check(value >= low, "UNet2D: {} is {}; it must be at least {}", option, value, low);
}

// Every normalised width, the concatenations on the way up among them, is a sum of level widths;
// so it is enough that each of those is a multiple.
void check_groups(const UNet2DConfig& config) {
  for (const std::int64_t width : config.block_out_channels)
    check(width % config.norm_num_groups == 0,
          "UNet2D: width {} in block_out_channels is no multiple of norm_num_groups {}; change one",
          width, config.norm_num_groups);
  if (config.attn_norm_num_groups > 0)
    check(config.block_out_channels.back() % config.attn_norm_num_groups == 0,
          "UNet2D: the last width, {}, is no multiple of attn_norm_num_groups {}; change one",
          config.block_out_channels.back(), config.attn_norm_num_groups);
}

void check_text(const UNet2DConfig& config) {
  const bool text = config.cross_attention_dim > 0;
  check_at_least("transformer_layers_per_block", config.transformer_layers_per_block, 1);
  for (std::size_t i = 0; i < config.block_out_channels.size(); ++i)
    for (const LevelType type : {config.down_block_types[i], config.up_block_types[i]}) {
      check(
          text || type != LevelType::cross_attention,
          "UNet2D: level {} is {} without cross_attention_dim; say how wide the text's states are",
          i, down_block_name(type));
      check(!text || type == LevelType::cross_attention || type == LevelType::plain,
            "UNet2D: level {} is {} beside cross_attention_dim {}; a network with a text has "
            "DownBlock2D and CrossAttnDownBlock2D alone",
            i, down_block_name(type), config.cross_attention_dim);
    }
  if (!text) return;
  check_at_least("attention_head_dim, the number of heads,", config.attention_head_dim, 1);
  for (const std::int64_t width : config.block_out_channels)
    check(width % config.attention_head_dim == 0,
          "UNet2D: width {} in block_out_channels is no multiple of attention_head_dim {}, the "
          "number of heads; change one",
          width, config.attention_head_dim);
}

void check_head_dim(const UNet2DConfig& config) {
  if (config.cross_attention_dim > 0) return;
  for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
    const std::size_t up = config.block_out_channels.size() - 1 - i;
    const bool middle = config.add_attention && up == 0;
    if (middle || config.down_block_types[i] == LevelType::attention ||
        config.up_block_types[up] == LevelType::attention)
      check(config.attention_head_dim <= config.block_out_channels[i],
            "UNet2D: attention_head_dim {} is more than the {} channels of level {}; lower it",
            config.attention_head_dim, config.block_out_channels[i], i);
  }
}

}  // namespace

LevelType level_type(std::string_view name) {
  std::vector<std::string_view> known;
  for (const LevelNames& names : level_names) {
    if (name == names.down || name == names.up) return names.type;
    known.insert(known.end(), {names.down, names.up});
  }
  fail("UNet2D: block type '{}' is unknown; known are {}", name, fmt::join(known, ", "));
}

std::string_view down_block_name(LevelType type) { return names_of(type).down; }
std::string_view up_block_name(LevelType type) { return names_of(type).up; }

void check_config(const UNet2DConfig& config) {
  const std::size_t levels = config.block_out_channels.size();
  check(levels >= 1 && levels <= 16, "UNet2D: block_out_channels has {} levels; 1 to 16 can be",
        levels);
  check(config.down_block_types.size() == levels && config.up_block_types.size() == levels,
        "UNet2D: {} widths in block_out_channels, {} down_block_types and {} up_block_types; give "
        "the same number of each",
        levels, config.down_block_types.size(), config.up_block_types.size());
  for (const std::int64_t width : config.block_out_channels)
    check_at_least("a width in block_out_channels", width, 2);
  check_at_least("in_channels", config.in_channels, 1);
  check_at_least("out_channels", config.out_channels, 1);
  check_at_least("layers_per_block", config.layers_per_block, 1);
  check_at_least("norm_num_groups", config.norm_num_groups, 1);
  check_at_least("attn_norm_num_groups", config.attn_norm_num_groups, 0);
  check_at_least("attention_head_dim", config.attention_head_dim, 0);
  check_at_least(config.null_class ? "num_class_embeds with a null class" : "num_class_embeds",
                 config.num_class_embeds, config.null_class ? 2 : 0);
  check_at_least("patch_size", config.patch_size, 1);
  check(config.patch_size <= 256, "UNet2D: patch_size is {}; at most 256 can be",
        config.patch_size);
  const std::int64_t area = config.patch_size * config.patch_size;
  check(config.in_channels % area == 0 && config.out_channels % area == 0,
        "UNet2D: in_channels {} and out_channels {} must be multiples of patch_size squared, {}",
        config.in_channels, config.out_channels, area);
  check(config.downsample_padding == 0 || config.downsample_padding == 1,
        "UNet2D: downsample_padding is {}; 0 and 1 are allowed", config.downsample_padding);
  check(config.norm_eps > 0, "UNet2D: norm_eps is {}; it must be above 0", config.norm_eps);
  check(config.mid_block_scale_factor != 0, "UNet2D: mid_block_scale_factor must not be 0");
  check(config.freq_shift < static_cast<double>(config.block_out_channels[0] / 2),
        "UNet2D: freq_shift {} must be below half the first width, {}", config.freq_shift,
        config.block_out_channels[0] / 2);
  check_one_of("downsample_type", config.downsample_type, {"conv", "resnet"});
  check_one_of("upsample_type", config.upsample_type, {"conv", "resnet"});
  check_one_of("act_fn", config.act_fn, {"silu", "relu", "gelu", "mish"});
  check_one_of("resnet_time_scale_shift", config.resnet_time_scale_shift,
               {"default", "scale_shift"});
  check_at_least("cross_attention_dim", config.cross_attention_dim, 0);
  check_at_least("projection_class_embeddings_input_dim",
                 config.projection_class_embeddings_input_dim, 0);
  check(!config.position_embedding || config.cross_attention_dim > 0,
        "UNet2D: position_embedding without a text (cross_attention_dim 0); it must be false");
  check(config.projection_class_embeddings_input_dim == 0 || config.cross_attention_dim > 0,
        "UNet2D: projection_class_embeddings_input_dim {} without a text; it must be 0",
        config.projection_class_embeddings_input_dim);
  check_groups(config);
  check_text(config);
  check_head_dim(config);
}

std::int64_t side_multiple(const UNet2DConfig& config) {
  return config.patch_size << (config.block_out_channels.size() - 1);
}

double parameter_bound(const UNet2DConfig& config) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  const std::vector<std::int64_t>& widths = config.block_out_channels;
  const double time = 4 * number(widths[0]);
  double total =
      9 * number(widths[0]) * (number(config.in_channels) + number(config.out_channels)) +
      time * (number(widths[0]) + time + number(config.num_class_embeds)) +
      (number(config.projection_class_embeddings_input_dim) + time) * time;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const double width = number(widths[i]);
    const double widest = std::max({width, number(widths[i > 0 ? i - 1 : 0]),
                                    number(widths[std::min(i + 1, widths.size() - 1)])});
    // A residual block's input has at most two of the widest, its two convolutions, shortcut and
    // time; attention; all of it in layers down, one more up, resampling and the middle.
    const double block = (9 + 1) * 2 * widest * width + 9 * width * width + 2 * time * width;
    const double attention =
        4 * width * width + 6 * width +
        number(config.cross_attention_dim > 0 ? config.transformer_layers_per_block : 0) *
            (16 * width * width + 2 * width * number(config.cross_attention_dim) + 20 * width);
    total += (2 * number(config.layers_per_block) + 6) * (block + attention + 12 * widest);
  }
  return total;
}

UNet2DConfig unet2d_preset(std::string_view name, std::int64_t channels, std::int64_t classes,
                           std::int64_t text_width) {
  using enum LevelType;
  UNet2DConfig config;
  config.attention_head_dim = 0;
  config.norm_num_groups = 8;
  config.resnet_time_scale_shift = "scale_shift";
  config.patch_size = 2;
  if (name == "tiny") {
    config.block_out_channels = {16, 32};
    config.down_block_types = {plain, plain};
    config.up_block_types = {plain, plain};
    config.layers_per_block = 1;
    config.norm_num_groups = 4;
  } else if (name == "small") {
    config.block_out_channels = {32, 64};
    config.down_block_types = {plain, attention};
    config.up_block_types = {attention, plain};
    config.layers_per_block = 1;
  } else if (name == "medium") {
    config.block_out_channels = {64, 128, 128};
    config.down_block_types = {plain, attention, attention};
    config.up_block_types = {attention, attention, plain};
    config.attention_head_dim = 64;
  } else if (name == "large") {
    config.block_out_channels = {128, 256, 256, 256};
    config.down_block_types = {plain, attention, plain, plain};
    config.up_block_types = {plain, plain, attention, plain};
    config.norm_num_groups = 32;
    config.norm_eps = 1e-6;
    config.resnet_time_scale_shift = "default";
    config.flip_sin_to_cos = false;
    config.freq_shift = 1;
    config.patch_size = 1;
  } else {
    fail("unet2d_preset: unknown size '{}'; known are tiny, small, medium, large", name);
  }
  config.in_channels = config.out_channels = channels * config.patch_size * config.patch_size;
  config.num_class_embeds = classes == 0 ? 0 : classes + 1;
  config.null_class = classes > 0;
  if (text_width == 0) return config;
  config.cross_attention_dim = text_width;
  config.projection_class_embeddings_input_dim = text_width;
  config.position_embedding = true;
  config.attention_head_dim = 4;
  for (std::vector<LevelType>* types : {&config.down_block_types, &config.up_block_types})
    std::replace(types->begin(), types->end(), attention, cross_attention);
  return config;
}

}  // namespace ebb
