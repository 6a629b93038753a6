#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/diffusion/models/unet2d.h>

namespace ebb {

namespace {

const UNet2DConfig& checked(const UNet2DConfig& config) {
  check_config(config);
  return config;
}

BlockOptions block_options(const UNet2DConfig& config, Generator& generator) {
  return {4 * config.block_out_channels[0],
          config.norm_num_groups,
          config.norm_eps,
          config.resnet_time_scale_shift == "scale_shift",
          config.act_fn,
          &generator};
}

void check_text(const TextContext& text, const UNet2DConfig& config, std::int64_t count) {
  const std::int64_t width = config.cross_attention_dim,
                     pooled = config.projection_class_embeddings_input_dim;
  if (width == 0) {
    check(!text.states.defined(),
          "UNet2D without text (cross_attention_dim 0): a text was given; leave it out");
    return;
  }
  check(text.states.defined(), "UNet2D: no text was given; it attends to states (N, L, {})", width);
  const Shape& shape = text.states.shape();
  check(shape.rank() == 3 && shape[0] == count && shape[2] == width,
        "UNet2D: text states {} for {} images; ({}, L, {}) are needed", shape, count, count, width);
  check(!text.mask.defined() || text.mask.shape() == Shape{count, shape[1]},
        "UNet2D: text mask {} for text states {}; (N, L) is needed", text.mask.shape(), shape);
  if (pooled == 0) return;
  check(text.pooled.defined() && text.pooled.shape() == Shape{count, pooled},
        "UNet2D: {} as the text in one vector; ({}, {}) is needed",
        text.pooled.defined() ? fmt::format("{}", text.pooled.shape()) : "nothing", count, pooled);
}

}  // namespace

ClassProjection::ClassProjection(std::int64_t in, std::int64_t out, Generator& generator)
    : linear_1({.in = in, .out = out}, generator), linear_2({.in = out, .out = out}, generator) {}

Variable ClassProjection::operator()(const Variable& x) const {
  return linear_2(silu(linear_1(x)));
}

void ClassProjection::visit(Visitor& v) {
  v("linear_1", linear_1);
  v("linear_2", linear_2);
}

UNet2D::UNet2D(const UNet2DConfig& config, Generator& generator)
    : config_(checked(config)),
      options_(block_options(config, generator)),
      conv_in_({.in = config.in_channels, .out = config.block_out_channels[0], .padding = {1, 1}},
               generator),
      time_linear_1_({.in = config.block_out_channels[0], .out = options_.time_channels},
                     generator),
      time_linear_2_({.in = options_.time_channels, .out = options_.time_channels}, generator),
      conv_norm_out_({.groups = config.norm_num_groups,
                      .channels = config.block_out_channels[0],
                      .eps = config.norm_eps}),
      conv_out_({.in = config.block_out_channels[0], .out = config.out_channels, .padding = {1, 1}},
                generator) {
  const std::vector<std::int64_t>& widths = config_.block_out_channels;
  const std::size_t levels = widths.size();
  if (config_.num_class_embeds > 0)
    class_embedding_ =
        Embedding({.count = config_.num_class_embeds, .width = options_.time_channels}, generator);
  if (config_.projection_class_embeddings_input_dim > 0)
    class_projection_.emplace(config_.projection_class_embeddings_input_dim, options_.time_channels,
                              generator);
  for (std::size_t i = 0; i < levels; ++i)
    down_blocks_.emplace_back(config_.down_block_types[i], widths[i == 0 ? 0 : i - 1], widths[i],
                              i + 1 == levels, config_, options_);
  mid_block_.emplace(widths.back(), config_, options_);
  for (std::size_t i = 0; i < levels; ++i) {
    const std::size_t level = levels - 1 - i;
    up_blocks_.emplace_back(config_.up_block_types[i], widths[std::min(level + 1, levels - 1)],
                            widths[level == 0 ? 0 : level - 1], widths[level], level == 0, config_,
                            options_);
  }
  options_.generator = nullptr;
}

std::int64_t UNet2D::num_classes() const {
  return config_.num_class_embeds - (config_.null_class ? 1 : 0);
}

Variable UNet2D::embed(const Tensor& t, const Conditioning& given, const TextContext& text) const {
  const Tensor sinusoids = timestep_embedding(
      t, config_.block_out_channels[0],
      {.flip_sin_to_cos = config_.flip_sin_to_cos, .freq_shift = config_.freq_shift});
  Variable emb = time_linear_2_(silu(time_linear_1_(sinusoids)));
  if (class_embedding_)
    emb = add(emb, (*class_embedding_)(labels_or_null(given, t.size(0), t.device())));
  if (class_projection_) emb = emb + (*class_projection_)(text.pooled);
  return activate(config_.act_fn, emb);
}

Conditioning UNet2D::understood(const Conditioning& all) const {
  Conditioning known = Model::understood(all);
  if (config_.cross_attention_dim == 0) return known;
  known.text_states = all.text_states;
  known.text_mask = all.text_mask;
  if (config_.projection_class_embeddings_input_dim > 0) known.text_pooled = all.text_pooled;
  return known;
}

Variable UNet2D::operator()(const Variable& x, const Tensor& t, const Conditioning& given) const {
  if (config_.cross_attention_dim == 0 || !given.text_states.defined())
    return (*this)(x, t, given, TextContext{});
  Conditioning rest = given;
  rest.text_states = rest.text_mask = rest.text_pooled = Tensor();
  TextContext text{given.text_states, given.text_mask, {}};
  if (given.text_pooled.defined()) text.pooled = given.text_pooled;
  return (*this)(x, t, rest, text);
}

Variable UNet2D::operator()(const Variable& x, const Tensor& t, const Conditioning& given,
                            const TextContext& text) const {
  const std::int64_t p = config_.patch_size;
  const std::int64_t multiple = side_multiple(config_);
  check(x.rank() == 4 && x.size(3) * p * p == config_.in_channels,
        "UNet2D: x has shape {}; (N, H, W, {}) is needed", x.shape(),
        config_.in_channels / (p * p));
  check(x.size(1) % multiple == 0 && x.size(2) % multiple == 0 && x.size(1) > 0 && x.size(2) > 0,
        "UNet2D: images of {} x {}; height and width must be multiples of {}, or the network needs "
        "fewer levels",
        x.size(1), x.size(2), multiple);
  check(t.rank() == 1 && t.size(0) == x.size(0),
        "UNet2D: t has shape {} for {} images; one timestep per image is needed", t.shape(),
        x.size(0));
  if (class_embedding_)
    given.check_for("UNet2D", x.size(0), {"labels"});
  else
    given.check_for("UNet2D without classes (num_class_embeds 0)", x.size(0), {});
  check_text(text, config_, x.size(0));
  const Variable temb = embed(t, given, text);
  Variable h = p == 1 ? x : pixel_unshuffle(x, p);
  if (config_.center_input_sample) h = add(mul(h, 2), -1);
  h = conv_in_(h);
  std::vector<Variable> skips{h};
  for (const DownBlock& block : down_blocks_) h = block(h, temb, text, skips);
  h = (*mid_block_)(h, temb, text);
  for (const UpBlock& block : up_blocks_) h = block(h, temb, text, skips);
  h = conv_out_(conv_norm_out_(h, /*silu=*/true));
  return p == 1 ? h : pixel_shuffle(h, p);
}

void UNet2D::visit(Visitor& v) {
  v("conv_in", conv_in_);
  v("time_embedding.linear_1", time_linear_1_);
  v("time_embedding.linear_2", time_linear_2_);
  v("class_embedding", class_embedding_);
  v("class_embedding", class_projection_);
  v("down_blocks", down_blocks_);
  v("up_blocks", up_blocks_);
  v("mid_block", mid_block_);
  v("conv_norm_out", conv_norm_out_);
  v("conv_out", conv_out_);
}

void UNet2D::zero_last_layers() {
  for (const NamedParameter& p : named_parameters(*this)) {
    const auto is_of = [&](std::string_view layer) {
      return p.name.find(layer) != std::string::npos;
    };
    if (is_of(".conv2.") || is_of(".to_out.0.") || is_of(".ff.net.2.") ||
        p.name.starts_with("conv_out.")) {
      Variable parameter = p.variable;
      parameter.set_value(Tensor::zeros(parameter.shape(), parameter.dtype(), parameter.device()));
    }
  }
}

std::vector<NamedTensor> modern_names(std::vector<NamedTensor> tensors) {
  constexpr std::pair<std::string_view, std::string_view> renamed[] = {
      {".query.", ".to_q."},
      {".key.", ".to_k."},
      {".value.", ".to_v."},
      {".proj_attn.", ".to_out.0."}};
  for (NamedTensor& tensor : tensors)
    for (const auto& [before, now] : renamed)
      if (const std::size_t at = tensor.name.find(before); at != std::string::npos)
        tensor.name.replace(at, before.size(), now);
  return tensors;
}

}  // namespace ebb
