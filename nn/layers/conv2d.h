// Convolutions of images (N, H, W, C), torch.nn.Conv2d and ConvTranspose2d. Weights keep
// PyTorch's shapes. Sizes of the results: tensor/ops/conv.h.
#pragma once

#include <ebb/nn/module.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/random/random.h>

namespace ebb {

struct ConvLayerOptions {
  std::int64_t in = 0, out = 0;  // channels; both multiples of groups
  Pair kernel{3, 3};             // along H, along W
  Pair stride{1, 1};
  Pair padding{0, 0};
  Pair output_padding{0, 0};  // ConvTranspose2d only
  Pair dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
};

struct Conv2d {
  using Options = ConvLayerOptions;
  Conv2d() = default;
  // Conv2d({.in = 3, .out = 64, .kernel = {3, 3}, .padding = {1, 1}}, generator)
  Conv2d(const Options& options, Generator& generator);

  // `activation` is applied in the same pass.
  Variable operator()(const Variable& x, Activation activation = Activation::none) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }

  Variable weight, bias;  // (out, in / groups, kh, kw), (out)
  Conv2dOptions options;
};

struct ConvTranspose2d {
  using Options = ConvLayerOptions;
  ConvTranspose2d() = default;
  ConvTranspose2d(const Options& options, Generator& generator);

  Variable operator()(const Variable& x, Activation activation = Activation::none) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }

  Variable weight, bias;  // (in, out / groups, kh, kw), (out)
  Conv2dOptions options;
};

}  // namespace ebb
