// Normalisations, torch.nn.GroupNorm, LayerNorm and BatchNorm2d; channels are the last dimension.
// Formulas: tensor/ops/norm.h. Weights begin as 1, biases as 0.
#pragma once

#include <ebb/nn/module.h>

namespace ebb {

struct GroupNorm {
  struct Options {
    std::int64_t groups = 0, channels = 0;
    double eps = 1e-5;
    bool affine = true;  // with weight and bias
  };
  GroupNorm() = default;
  explicit GroupNorm(const Options& options);

  // x (N, ..., channels). `silu` applies it in the same pass.
  Variable operator()(const Variable& x, bool silu = false) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }

  Variable weight, bias;  // (channels)
  Options options;
};

struct LayerNorm {
  struct Options {
    Shape shape;  // the last dimensions of x
    double eps = 1e-5;
    bool affine = true;
  };
  LayerNorm() = default;
  explicit LayerNorm(const Options& options);

  Variable operator()(const Variable& x) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }

  Variable weight, bias;  // `shape`
  Options options;
};

// In training, x is normalised by its own mean and variance over all but the channels, and the
// running ones move towards them (the variance unbiased): r = (1 - momentum) r + momentum batch.
// In evaluation the running ones are used.
struct BatchNorm2d {
  struct Options {
    std::int64_t channels = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    bool affine = true;
  };
  BatchNorm2d() = default;
  explicit BatchNorm2d(const Options& options);

  // x (N, H, W, channels). In training one value per channel is an Error.
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
    v("running_mean", running_mean);
    v("running_var", running_var);
    v("num_batches_tracked", num_batches_tracked);
    v.training(training);
  }

  Variable weight, bias;             // (channels)
  Tensor running_mean, running_var;  // (channels), first 0 and 1
  Tensor num_batches_tracked;        // int64 scalar
  bool training = true;
  Options options;

 private:
  void track(const Tensor& mean, const Tensor& var, std::int64_t count) const;
};

}  // namespace ebb
