#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/operands.h>

namespace ebb {

namespace {

void check_parameter(std::string_view operation, std::string_view what, const Tensor& x,
                     const Tensor& parameter, const Shape& shape) {
  if (!parameter.defined()) return;
  common_operands(operation, {&x, &parameter});
  check(parameter.shape() == shape, "{}: {} {} for input {}; it must have shape {}", operation,
        what, parameter.shape(), x.shape(), shape);
}

// All three normalisations are one: over groups of channels of samples.
Normalized normalize(std::string_view operation, const Tensor& x, const Groups& groups,
                     const Shape& statistics, const Tensor& weight, const Tensor& bias, double eps,
                     bool silu) {
  const Device device = x.device();
  Normalized out{empty_like(x), Tensor::empty(statistics, x.dtype(), device),
                 Tensor::empty(statistics, x.dtype(), device)};
  if (groups.channels == 0) return {out.y, out.mean.fill_(0), out.rstd.fill_(0)};
  use(operation, device, kernels(device).group_norm)(x, groups, weight, bias, eps, silu, out);
  return out;
}

// The gradient by x is written to `dx`.
NormGradients normalize_backward(std::string_view operation, const Tensor& grad, const Tensor& x,
                                 const Groups& groups, const Tensor& weight, const Tensor& bias,
                                 const Tensor& mean, const Tensor& rstd, bool silu,
                                 const Tensor& dx) {
  common_operands(operation, {&grad, &x, &mean, &rstd});
  check_same_shape(operation, grad, x);
  const Device device = x.device();
  NormGradients out{dx, {}, {}};
  if (weight.defined()) {
    out.weight = empty_like(weight);
    out.bias = empty_like(weight);
  }
  // Also where no sample is there to have parameters of its own.
  if (groups.channels == 0 || (weight.defined() && weight.numel() == 0)) return out;
  use(operation, device, kernels(device).group_norm_backward)(grad, x, groups, weight, bias, mean,
                                                              rstd, silu, out);
  return out;
}

Groups group_norm_groups(const Tensor& x, std::int64_t groups) {
  check_floating("group_norm", x);
  check(x.rank() >= 2 && groups >= 1 && x.size(-1) % groups == 0,
        "group_norm: {} groups for input {}; they must divide its last size", groups, x.shape());
  const std::int64_t samples = x.size(0), channels = x.size(-1);
  const std::int64_t positions = x.shape().without(0).without(-1).numel();
  check(channels > 0 && positions > 0, "group_norm: input {} has nothing to normalize", x.shape());
  check(samples != 1 || channels / groups * positions > 1,
        "group_norm: input {} in {} groups has one value a group; use fewer groups", x.shape(),
        groups);
  return {samples, positions, channels, groups};
}

Groups layer_norm_groups(const Tensor& x, const Shape& shape) {
  check_floating("layer_norm", x);
  const std::int64_t rows_rank = x.rank() - shape.rank();
  bool fits = rows_rank >= 0;
  for (std::int64_t d = 0; fits && d < shape.rank(); ++d) fits = x.size(rows_rank + d) == shape[d];
  check(shape.rank() > 0, "layer_norm: the shape to normalize over is empty; input {}", x.shape());
  check(fits, "layer_norm: shape {} is not the end of the input's shape {}", shape, x.shape());
  std::int64_t rows = 1;
  for (std::int64_t d = 0; d < rows_rank; ++d) rows *= x.size(d);
  return {rows, 1, shape.numel(), 1};
}

Groups batch_norm_groups(const Tensor& x) {
  check_floating("batch_norm", x);
  check(x.rank() >= 2, "batch_norm: input {}; it must be (N, ..., C)", x.shape());
  const std::int64_t channels = x.size(-1), positions = x.shape().without(-1).numel();
  return {1, positions, channels, channels};
}

}  // namespace

Normalized group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight,
                      const Tensor& bias, double eps, bool silu) {
  const Groups parts = group_norm_groups(x, groups);
  const Tensor& given = weight.defined() ? weight : bias;
  const bool each_sample = given.defined() && given.rank() == 2;
  const Shape shape = each_sample ? Shape{parts.samples, parts.channels} : Shape{parts.channels};
  check_parameter("group_norm", "weight", x, weight, shape);
  check_parameter("group_norm", "bias", x, bias, shape);
  return normalize("group_norm", x, parts, {parts.samples, groups}, weight, bias, eps, silu);
}

NormGradients group_norm_backward(Tensor grad, const Tensor& x, std::int64_t groups,
                                  const Tensor& weight, const Tensor& bias, const Tensor& mean,
                                  const Tensor& rstd, bool silu) {
  const Groups parts = group_norm_groups(x, groups);
  const Tensor dx = grad.is_unique() ? grad : empty_like(x);
  return normalize_backward("group_norm_backward", grad, x, parts, weight, bias, mean, rstd, silu,
                            dx);
}

Normalized layer_norm(const Tensor& x, const Shape& shape, const Tensor& weight, const Tensor& bias,
                      double eps) {
  const Groups parts = layer_norm_groups(x, shape);
  check_parameter("layer_norm", "weight", x, weight, shape);
  check_parameter("layer_norm", "bias", x, bias, shape);
  return normalize("layer_norm", x, parts, {parts.samples}, weight, bias, eps, false);
}

NormGradients layer_norm_backward(const Tensor& grad, const Tensor& x, const Shape& shape,
                                  const Tensor& weight, const Tensor& mean, const Tensor& rstd) {
  return normalize_backward("layer_norm_backward", grad, x, layer_norm_groups(x, shape), weight, {},
                            mean, rstd, false, empty_like(x));
}

Normalized batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  const Groups parts = batch_norm_groups(x);
  check_parameter("batch_norm", "weight", x, weight, {parts.channels});
  check_parameter("batch_norm", "bias", x, bias, {parts.channels});
  check(parts.positions > 1 || x.numel() == 0,
        "batch_norm: input {} has one value a channel; training needs more", x.shape());
  return normalize("batch_norm", x, parts, {parts.channels}, weight, bias, eps, false);
}

NormGradients batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& weight,
                                  const Tensor& mean, const Tensor& rstd) {
  return normalize_backward("batch_norm_backward", grad, x, batch_norm_groups(x), weight, {}, mean,
                            rstd, false, empty_like(x));
}

}  // namespace ebb
