// The two U-Nets of the well-known tutorial, under its parameter names: two convolutions down, the
// time (and the class) added to every pixel, two transposed convolutions up. Neither pools nor
// skips, so a pixel sees its 9 x 9 neighbours and no more; UNet2D (unet2d.h) draws better.
//
//   x -> down1 -> relu -> down2 -> relu -> + time_mlp(t) [+ class_emb(label)]
//     -> up1 -> relu -> up2 -> prediction
#pragma once

#include <ebb/diffusion/models/model.h>
#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/nn/layers/layers.h>

namespace ebb {

struct TutorialUNetOptions {
  std::int64_t channels = 3;  // of the images
  // 0: the integer t itself goes into the time layer, as in the tutorial. Its size dwarfs every
  // other input, which is why the first loss there is in the thousands. Else: t's sinusoidal
  // embedding of this many features, and two layers.
  std::int64_t time_features = 0;
  TimestepEmbeddingOptions embedding = {};
};

// Times to features of width `width`: Linear(1, width), or, sinusoidal,
// Linear(features, width) -> silu -> Linear(width, width) under the names of PyTorch's Sequential.
struct TutorialTime {
  TutorialTime() = default;
  TutorialTime(const TutorialUNetOptions& options, std::int64_t width, Generator& generator);

  Variable operator()(const Tensor& t) const;  // (N) to (N, width)
  void visit(Visitor& v);

  std::int64_t features = 0;
  TimestepEmbeddingOptions embedding = {};
  Linear raw;                                   // weight, bias
  Sequential<Linear, Function, Linear> layers;  // 0.weight, 0.bias, 2.weight, 2.bias
};

// Without classes. Draws its parameters in the order of declaration.
struct SimpleUNet final : Model {
  SimpleUNet(const TutorialUNetOptions& options, Generator& generator);

  Variable operator()(const Variable& x, const Tensor& t,
                      const Conditioning& given = {}) const override;
  void visit(Visitor& v) override;

  Conv2d down1, down2;
  TutorialTime time_mlp;
  ConvTranspose2d up1, up2;
};

// With classes 0 ... num_classes - 1 and the null class num_classes, a row of class_emb each.
struct ConditionalUNet final : Model {
  ConditionalUNet(std::int64_t num_classes, const TutorialUNetOptions& options,
                  Generator& generator);

  Variable operator()(const Variable& x, const Tensor& t,
                      const Conditioning& given = {}) const override;
  void visit(Visitor& v) override;
  std::int64_t num_classes() const override { return class_emb.weight.size(0) - 1; }

  Conv2d down1, down2;
  Embedding class_emb;
  TutorialTime time_mlp;
  ConvTranspose2d up1, up2;
};

}  // namespace ebb
