#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/unet2d_blocks.h>

namespace ebb {

Variable activate(std::string_view name, const Variable& x) {
  if (name == "silu") return silu(x);
  if (name == "relu") return relu(x);
  if (name == "gelu") return gelu(x);
  if (name == "mish") return mul(x, tanh(softplus(x)));
  fail("activate: unknown activation '{}'; known are silu, relu, gelu, mish", name);
}

namespace {

std::optional<Linear> time_projection(std::int64_t out, const BlockOptions& options) {
  if (options.time_channels == 0) return std::nullopt;
  return Linear({.in = options.time_channels, .out = options.scale_shift ? 2 * out : out},
                *options.generator);
}

}  // namespace

ResnetBlock2D::ResnetBlock2D(std::int64_t in, std::int64_t out, const BlockOptions& options,
                             Resample resample, double output_scale)
    : norm1({.groups = options.groups, .channels = in, .eps = options.eps}),
      conv1({.in = in, .out = out, .padding = {1, 1}}, *options.generator),
      time_emb_proj(time_projection(out, options)),
      norm2({.groups = options.groups, .channels = out, .eps = options.eps}),
      conv2({.in = out, .out = out, .padding = {1, 1}}, *options.generator),
      scale_shift_(options.scale_shift),
      act_fn_(options.act_fn),
      resample_(resample),
      output_scale_(output_scale) {
  if (in != out)
    conv_shortcut = Conv2d({.in = in, .out = out, .kernel = {1, 1}}, *options.generator);
}

Variable ResnetBlock2D::normalize(const GroupNorm& norm, const Variable& x) const {
  return act_fn_ == "silu" ? norm(x, /*silu=*/true) : activate(act_fn_, norm(x));
}

Variable ResnetBlock2D::second_norm(const Variable& h, const Variable& time) const {
  const std::int64_t n = h.size(0), c = h.size(-1);
  if (!time.defined()) return normalize(norm2, h);
  if (!scale_shift_) return normalize(norm2, add(h, reshape(time, {n, 1, 1, c})));
  const std::vector<Variable> parts = split(time, c, 1);
  // norm2's own weight and bias come first: (y w + b) scale + shift = y (w scale) + (b scale +
  // shift).
  const Variable scale = add(parts[0], 1), weight = mul(norm2.weight, scale);
  const Variable bias = add(mul(norm2.bias, scale), parts[1]);
  const bool silu = act_fn_ == "silu";
  const Variable y = group_norm(h, norm2.options.groups, weight, bias, norm2.options.eps, silu);
  return silu ? y : activate(act_fn_, y);
}

Variable ResnetBlock2D::operator()(const Variable& x, const Variable& temb) const {
  Variable h = normalize(norm1, x);
  Variable skip = x;
  if (resample_ == Resample::down) {
    h = avg_pool2d(h);
    skip = avg_pool2d(skip);
  } else if (resample_ == Resample::up) {
    h = interpolate(h, 2 * h.size(1), 2 * h.size(2), Interpolation::nearest);
    skip = interpolate(skip, 2 * skip.size(1), 2 * skip.size(2), Interpolation::nearest);
  }
  check(time_emb_proj.has_value() == temb.defined(),
        "ResnetBlock2D: it has {} time, it was given {}", time_emb_proj ? "a" : "no",
        temb.defined() ? "one" : "none");
  h = conv2(second_norm(conv1(h), time_emb_proj ? (*time_emb_proj)(temb) : Variable()));
  const Variable y = add(conv_shortcut ? (*conv_shortcut)(skip) : skip, h);
  return output_scale_ == 1 ? y : mul(y, 1 / output_scale_);
}

void ResnetBlock2D::visit(Visitor& v) {
  v("norm1", norm1);
  v("conv1", conv1);
  v("time_emb_proj", time_emb_proj);
  v("norm2", norm2);
  v("conv2", conv2);
  v("conv_shortcut", conv_shortcut);
}

SpatialAttention::SpatialAttention(std::int64_t channels, std::int64_t head_dim,
                                   std::int64_t groups, double eps, Generator& generator,
                                   double output_scale)
    : heads_(channels / head_dim), output_scale_(output_scale) {
  const std::int64_t inner = heads_ * head_dim;
  to_q = Linear({.in = channels, .out = inner}, generator);
  to_k = Linear({.in = channels, .out = inner}, generator);
  to_v = Linear({.in = channels, .out = inner}, generator);
  to_out = Linear({.in = inner, .out = channels}, generator);
  if (groups > 0) group_norm = GroupNorm({.groups = groups, .channels = channels, .eps = eps});
}

Variable SpatialAttention::operator()(const Variable& x) const {
  const Variable h =
      reshape(group_norm ? (*group_norm)(x) : x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
  const Variable qkv = linear(h, cat({to_q.weight, to_k.weight, to_v.weight}, 0),
                              cat({to_q.bias, to_k.bias, to_v.bias}, 0));
  const Variable y = add(reshape(to_out(self_attention(qkv, heads_)), x.shape().vector()), x);
  return output_scale_ == 1 ? y : mul(y, 1 / output_scale_);
}

void SpatialAttention::visit(Visitor& v) {
  v("group_norm", group_norm);
  v("to_q", to_q);
  v("to_k", to_k);
  v("to_v", to_v);
  v("to_out.0", to_out);
}

Downsample2D::Downsample2D(std::int64_t channels, std::int64_t padding, Generator& generator)
    : conv({.in = channels, .out = channels, .stride = {2, 2}, .padding = {padding, padding}},
           generator),
      pad_after_(padding == 0) {}

Variable Downsample2D::operator()(const Variable& x) const {
  return conv(pad_after_ ? pad(x, {0, 0, 0, 1, 0, 1}) : x);
}

Upsample2D::Upsample2D(std::int64_t channels, Generator& generator)
    : conv({.in = channels, .out = channels, .padding = {1, 1}}, generator) {}

Variable Upsample2D::operator()(const Variable& x) const {
  return conv(interpolate(x, 2 * x.size(1), 2 * x.size(2), Interpolation::nearest));
}

}  // namespace ebb
