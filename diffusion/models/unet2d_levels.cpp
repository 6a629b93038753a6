#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/unet2d_blocks.h>

namespace ebb {

namespace {

SpatialAttention level_attention(std::int64_t channels, std::int64_t groups, double output_scale,
                                 const UNet2DConfig& config, const BlockOptions& options) {
  const std::int64_t head_dim =
      config.attention_head_dim == 0 ? channels : config.attention_head_dim;
  return SpatialAttention(channels, head_dim, groups, options.eps, *options.generator,
                          output_scale);
}

Transformer2D level_transformer(std::int64_t channels, const UNet2DConfig& config,
                                const BlockOptions& options) {
  return Transformer2D({.channels = channels,
                        .context_width = config.cross_attention_dim,
                        .heads = config.attention_head_dim,
                        .groups = options.groups,
                        .layers = config.transformer_layers_per_block,
                        .linear_projection = config.use_linear_projection,
                        .positions = config.position_embedding},
                       *options.generator);
}

}  // namespace

DownBlock::DownBlock(LevelType type, std::int64_t in, std::int64_t out, bool last,
                     const UNet2DConfig& config, const BlockOptions& options) {
  for (std::int64_t i = 0; i < config.layers_per_block; ++i) {
    resnets.emplace_back(i == 0 ? in : out, out, options);
    if (type == LevelType::attention)
      attentions.push_back(level_attention(out, options.groups, 1, config, options));
    if (type == LevelType::cross_attention)
      transformers.push_back(level_transformer(out, config, options));
  }
  if (last) return;
  const bool by_resnet = type == LevelType::resnet ||
                         (type == LevelType::attention && config.downsample_type == "resnet");
  if (by_resnet)
    resnet_downsampler.emplace(out, out, options, ResnetBlock2D::Resample::down);
  else
    conv_downsampler.emplace(out, config.downsample_padding, *options.generator);
}

Variable DownBlock::operator()(Variable x, const Variable& temb, const TextContext& text,
                               std::vector<Variable>& skips) const {
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    x = resnets[i](x, temb);
    if (!attentions.empty()) x = attentions[i](x);
    if (!transformers.empty()) x = transformers[i](x, text);
    skips.push_back(x);
  }
  if (resnet_downsampler) x = (*resnet_downsampler)(x, temb);
  if (conv_downsampler) x = (*conv_downsampler)(x);
  if (resnet_downsampler || conv_downsampler) skips.push_back(x);
  return x;
}

void DownBlock::visit(Visitor& v) {
  v("attentions", attentions);
  v("attentions", transformers);
  v("resnets", resnets);
  v("downsamplers.0", conv_downsampler);
  v("downsamplers.0", resnet_downsampler);
}

MidBlock::MidBlock(std::int64_t channels, const UNet2DConfig& config, const BlockOptions& options) {
  const double scale = config.mid_block_scale_factor;
  for (int i = 0; i < 2; ++i)
    resnets.emplace_back(channels, channels, options, ResnetBlock2D::Resample::none, scale);
  if (config.cross_attention_dim > 0) {
    transformer.emplace(level_transformer(channels, config, options));
    return;
  }
  if (!config.add_attention) return;
  // diffusers leaves this normalisation out under scale_shift unless it is asked for.
  const std::int64_t groups = config.attn_norm_num_groups > 0 ? config.attn_norm_num_groups
                              : options.scale_shift           ? 0
                                                              : options.groups;
  attention.emplace(level_attention(channels, groups, scale, config, options));
}

Variable MidBlock::operator()(const Variable& x, const Variable& temb,
                              const TextContext& text) const {
  Variable h = resnets[0](x, temb);
  if (attention) h = (*attention)(h);
  if (transformer) h = (*transformer)(h, text);
  return resnets[1](h, temb);
}

void MidBlock::visit(Visitor& v) {
  v("attentions.0", attention);
  v("attentions.0", transformer);
  v("resnets", resnets);
}

UpBlock::UpBlock(LevelType type, std::int64_t previous, std::int64_t skip, std::int64_t out,
                 bool last, const UNet2DConfig& config, const BlockOptions& options) {
  const std::int64_t layers = config.layers_per_block + 1;
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::int64_t in = i == 0 ? previous : out;
    resnets.emplace_back(in + (i == layers - 1 ? skip : out), out, options);
    if (type == LevelType::attention)
      attentions.push_back(level_attention(out, options.groups, 1, config, options));
    if (type == LevelType::cross_attention)
      transformers.push_back(level_transformer(out, config, options));
  }
  if (last) return;
  const bool by_resnet = type == LevelType::resnet ||
                         (type == LevelType::attention && config.upsample_type == "resnet");
  if (by_resnet)
    resnet_upsampler.emplace(out, out, options, ResnetBlock2D::Resample::up);
  else
    conv_upsampler.emplace(out, *options.generator);
}

Variable UpBlock::operator()(Variable x, const Variable& temb, const TextContext& text,
                             std::vector<Variable>& skips) const {
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    x = resnets[i](cat({x, skips.back()}, 3), temb);
    skips.pop_back();
    if (!attentions.empty()) x = attentions[i](x);
    if (!transformers.empty()) x = transformers[i](x, text);
  }
  if (resnet_upsampler) x = (*resnet_upsampler)(x, temb);
  if (conv_upsampler) x = (*conv_upsampler)(x);
  return x;
}

void UpBlock::visit(Visitor& v) {
  v("attentions", attentions);
  v("attentions", transformers);
  v("resnets", resnets);
  v("upsamplers.0", conv_upsampler);
  v("upsamplers.0", resnet_upsampler);
}

}  // namespace ebb
