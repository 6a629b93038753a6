#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/init.h>
#include <ebb/nn/layers/normalization.h>

namespace ebb {

GroupNorm::GroupNorm(const Options& o) : options(o) {
  check(o.groups > 0 && o.channels > 0 && o.channels % o.groups == 0,
        "GroupNorm: {} channels in {} groups; channels must be a positive multiple", o.channels,
        o.groups);
  if (!o.affine) return;
  weight = constant_parameter({o.channels}, 1);
  bias = constant_parameter({o.channels}, 0);
}

Variable GroupNorm::operator()(const Variable& x, bool silu) const {
  check(x.rank() >= 2 && x.size(-1) == options.channels,
        "GroupNorm: x {} has not {} channels last; images are (N, H, W, C)", x.shape(),
        options.channels);
  return group_norm(x, options.groups, weight, bias, options.eps, silu);
}

LayerNorm::LayerNorm(const Options& o) : options(o) {
  check(o.shape.rank() > 0 && o.shape.numel() > 0,
        "LayerNorm: shape {} has no elements; give the last dimensions of x", o.shape);
  if (!o.affine) return;
  weight = constant_parameter(o.shape, 1);
  bias = constant_parameter(o.shape, 0);
}

Variable LayerNorm::operator()(const Variable& x) const {
  return layer_norm(x, options.shape, weight, bias, options.eps);
}

BatchNorm2d::BatchNorm2d(const Options& o) : options(o) {
  check(o.channels > 0, "BatchNorm2d: {} channels; there must be some", o.channels);
  running_mean = Tensor::zeros({o.channels});
  running_var = Tensor::ones({o.channels});
  num_batches_tracked = Tensor::zeros({}, DType::int64);
  if (!o.affine) return;
  weight = constant_parameter({o.channels}, 1);
  bias = constant_parameter({o.channels}, 0);
}

Variable BatchNorm2d::operator()(const Variable& x) const {
  check(x.rank() == 4 && x.size(-1) == options.channels,
        "BatchNorm2d: x {} is not (N, H, W, {}); permute it", x.shape(), options.channels);
  if (training) {
    const std::int64_t count = x.numel() / options.channels;
    check(count > 1, "BatchNorm2d: x {} has one value per channel; train on larger batches",
          x.shape());
    BatchStatistics statistics;
    const Variable y = batch_norm(x, weight, bias, options.eps, &statistics);
    track(statistics.mean, statistics.var, count);
    return y;
  }
  const Tensor rstd = rsqrt(add(running_var, options.eps));
  const Variable y = (x - running_mean) * rstd;
  return weight.defined() ? y * weight + bias : y;
}

void BatchNorm2d::track(const Tensor& mean, const Tensor& var, std::int64_t count) const {
  const double n = static_cast<double>(count);
  const auto move = [&](Tensor running, const Tensor& batch, double scale) {
    mul_(running, 1 - options.momentum);
    add_(running, batch, options.momentum * scale);
  };
  move(running_mean, mean, 1);
  move(running_var, var, n / (n - 1));
  Tensor batches = num_batches_tracked;
  batches.copy_(batches + 1);
}

}  // namespace ebb
