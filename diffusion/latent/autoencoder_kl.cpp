#include <ebb/autograd/ops.h>
#include <ebb/diffusion/latent/autoencoder_kl.h>

#include <cmath>

namespace ebb {
namespace {

constexpr double norm_eps = 1e-6;

BlockOptions autoencoder_blocks(const AutoencoderKLConfig& config, Generator& generator) {
  check_config(config);
  return {.time_channels = 0,
          .groups = config.norm_num_groups,
          .eps = norm_eps,
          .scale_shift = false,
          .act_fn = config.act_fn,
          .generator = &generator};
}

// What the blocks shared with the U-Net ask for; attention of one head.
UNet2DConfig block_config(const AutoencoderKLConfig& config) {
  UNet2DConfig result;
  result.layers_per_block = config.layers_per_block;
  result.downsample_padding = 0;
  result.attention_head_dim = 0;
  result.add_attention = config.mid_block_add_attention;
  return result;
}

}  // namespace

void check_config(const AutoencoderKLConfig& c) {
  const auto at_least = [](std::string_view option, std::int64_t value, std::int64_t low) {
    check(value >= low, "AutoencoderKL: {} is {}; it must be at least {}", option, value, low);
  };
  at_least("in_channels", c.in_channels, 1);
  at_least("out_channels", c.out_channels, 1);
  at_least("latent_channels", c.latent_channels, 1);
  at_least("layers_per_block", c.layers_per_block, 1);
  at_least("norm_num_groups", c.norm_num_groups, 1);
  check(!c.block_out_channels.empty() && c.block_out_channels.size() <= 16,
        "AutoencoderKL: block_out_channels has {} levels; 1 to 16 can be",
        c.block_out_channels.size());
  for (const std::int64_t width : c.block_out_channels)
    check(width >= 1 && width % c.norm_num_groups == 0,
          "AutoencoderKL: width {} in block_out_channels is no multiple of norm_num_groups {}; "
          "change one",
          width, c.norm_num_groups);
  check(std::isfinite(c.scaling_factor) && c.scaling_factor > 0 && std::isfinite(c.shift_factor),
        "AutoencoderKL: scaling_factor {} and shift_factor {}; the first must be above 0",
        c.scaling_factor, c.shift_factor);
  check(c.act_fn == "silu" || c.act_fn == "relu" || c.act_fn == "gelu" || c.act_fn == "mish",
        "AutoencoderKL: act_fn '{}' is unknown; allowed: silu, relu, gelu, mish", c.act_fn);
}

AutoencoderKLConfig autoencoder_preset(std::string_view name, std::int64_t channels) {
  AutoencoderKLConfig config{.in_channels = channels, .out_channels = channels};
  config.norm_num_groups = 8;
  if (name == "tiny") {
    config.block_out_channels = {8, 16, 16};
  } else if (name == "small") {
    config.block_out_channels = {32, 64, 64};
  } else if (name == "medium") {
    config.block_out_channels = {64, 128, 128};
  } else {
    check(name == "large",
          "autoencoder_preset: unknown size '{}'; known are tiny, small, medium, large", name);
    config.block_out_channels = {128, 256, 512};
    config.layers_per_block = 2;
    config.norm_num_groups = 32;
  }
  return config;
}

DiagonalGaussian::DiagonalGaussian(const Variable& moments) {
  const std::vector<Variable> halves = split(moments, moments.size(-1) / 2, -1);
  mean = halves[0];
  log_variance = clamp(halves[1], -30, 20);
}

Variable DiagonalGaussian::sample(const Tensor& eps) const {
  return mean + exp(0.5 * log_variance) * Variable(eps);
}

Variable DiagonalGaussian::kl() const {
  const Variable terms = square(mean) + exp(log_variance) - 1 - log_variance;
  return 0.5 * sum(reshape(terms, {terms.size(0), -1}), {1});
}

Encoder::Encoder(const AutoencoderKLConfig& c, const BlockOptions& options)
    : conv_in({.in = c.in_channels, .out = c.block_out_channels[0], .padding = {1, 1}},
              *options.generator),
      conv_norm_out(
          {.groups = c.norm_num_groups, .channels = c.block_out_channels.back(), .eps = norm_eps}) {
  const std::vector<std::int64_t>& widths = c.block_out_channels;
  for (std::size_t i = 0; i < widths.size(); ++i)
    down_blocks.emplace_back(LevelType::plain, widths[i == 0 ? 0 : i - 1], widths[i],
                             i + 1 == widths.size(), block_config(c), options);
  mid_block.emplace(widths.back(), block_config(c), options);
  conv_out = Conv2d({.in = widths.back(), .out = 2 * c.latent_channels, .padding = {1, 1}},
                    *options.generator);
}

Variable Encoder::operator()(const Variable& x) const {
  Variable h = conv_in(x);
  for (const DownBlock& block : down_blocks) {
    std::vector<Variable> skips;
    h = block(h, {}, {}, skips);
  }
  return conv_out(conv_norm_out((*mid_block)(h), /*silu=*/true));
}

void Encoder::visit(Visitor& v) {
  v("conv_in", conv_in);
  v("down_blocks", down_blocks);
  v("mid_block", mid_block);
  v("conv_norm_out", conv_norm_out);
  v("conv_out", conv_out);
}

Decoder::Decoder(const AutoencoderKLConfig& c, const BlockOptions& options)
    : conv_in({.in = c.latent_channels, .out = c.block_out_channels.back(), .padding = {1, 1}},
              *options.generator),
      conv_norm_out(
          {.groups = c.norm_num_groups, .channels = c.block_out_channels[0], .eps = norm_eps}) {
  const std::vector<std::int64_t>& widths = c.block_out_channels;
  mid_block.emplace(widths.back(), block_config(c), options);
  for (std::size_t i = widths.size(); i-- > 0;) {
    Level level;
    for (std::int64_t layer = 0; layer <= c.layers_per_block; ++layer)
      level.resnets.emplace_back(
          layer == 0 ? widths[std::min(i + 1, widths.size() - 1)] : widths[i], widths[i], options);
    if (i > 0) level.upsampler.emplace(widths[i], *options.generator);
    up_blocks.push_back(std::move(level));
  }
  conv_out =
      Conv2d({.in = widths[0], .out = c.out_channels, .padding = {1, 1}}, *options.generator);
}

Variable Decoder::operator()(const Variable& z) const {
  Variable h = (*mid_block)(conv_in(z));
  for (const Level& level : up_blocks) {
    for (const ResnetBlock2D& resnet : level.resnets) h = resnet(h);
    if (level.upsampler) h = (*level.upsampler)(h);
  }
  return conv_out(conv_norm_out(h, /*silu=*/true));
}

void Decoder::Level::visit(Visitor& v) {
  v("resnets", resnets);
  v("upsamplers.0", upsampler);
}

void Decoder::visit(Visitor& v) {
  v("conv_in", conv_in);
  v("mid_block", mid_block);
  v("up_blocks", up_blocks);
  v("conv_norm_out", conv_norm_out);
  v("conv_out", conv_out);
}

AutoencoderKL::AutoencoderKL(const AutoencoderKLConfig& config, Generator& generator)
    : AutoencoderKL(config, autoencoder_blocks(config, generator)) {}

AutoencoderKL::AutoencoderKL(const AutoencoderKLConfig& c, BlockOptions options)
    : config_(c), encoder_(c, options), decoder_(c, options) {
  const auto pointwise = [&](std::int64_t channels) {
    return Conv2d({.in = channels, .out = channels, .kernel = {1, 1}}, *options.generator);
  };
  if (c.use_quant_conv) quant_conv_ = pointwise(2 * c.latent_channels);
  if (c.use_post_quant_conv) post_quant_conv_ = pointwise(c.latent_channels);
}

std::int64_t AutoencoderKL::factor() const {
  return std::int64_t{1} << (config_.block_out_channels.size() - 1);
}

DiagonalGaussian AutoencoderKL::encode(const Variable& x) const {
  check(x.rank() == 4 && x.size(3) == config_.in_channels && x.size(1) % factor() == 0 &&
            x.size(2) % factor() == 0 && x.numel() > 0,
        "AutoencoderKL: x {}; (N, H, W, {}) with H and W multiples of {} is needed", x.shape(),
        config_.in_channels, factor());
  const Variable h = encoder_(x);
  return DiagonalGaussian(quant_conv_ ? (*quant_conv_)(h) : h);
}

Variable AutoencoderKL::decode(const Variable& z) const {
  check(z.rank() == 4 && z.size(3) == config_.latent_channels,
        "AutoencoderKL: latents {}; (N, H, W, {}) is needed", z.shape(), config_.latent_channels);
  return decoder_(post_quant_conv_ ? (*post_quant_conv_)(z) : z);
}

Tensor AutoencoderKL::scaled(const Tensor& z) const {
  return mul(add(z, -config_.shift_factor), config_.scaling_factor);
}

Tensor AutoencoderKL::unscaled(const Tensor& z) const {
  return add(mul(z, 1 / config_.scaling_factor), config_.shift_factor);
}

void AutoencoderKL::set_scale(double scaling_factor, double shift_factor) {
  config_.scaling_factor = scaling_factor;
  config_.shift_factor = shift_factor;
  check_config(config_);
}

void AutoencoderKL::visit(Visitor& v) {
  v("encoder", encoder_);
  v("decoder", decoder_);
  v("quant_conv", quant_conv_);
  v("post_quant_conv", post_quant_conv_);
}

}  // namespace ebb
