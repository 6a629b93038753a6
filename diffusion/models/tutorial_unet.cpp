#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/tutorial_unet.h>

namespace ebb {
namespace {

constexpr std::int64_t narrow = 64, wide = 128;

ConvLayerOptions layer(std::int64_t in, std::int64_t out) {
  return {.in = in, .out = out, .kernel = {3, 3}, .padding = {1, 1}};
}

void check_input(std::string_view model, const Variable& x, const Tensor& t,
                 std::int64_t channels) {
  check(x.rank() == 4 && x.size(3) == channels, "{}: images {} are not (N, H, W, {})", model,
        x.shape(), channels);
  check(t.shape() == Shape{x.size(0)}, "{}: timesteps {} for images {}; give one for each image",
        model, t.shape(), x.shape());
}

// (N, C) as something to add to every pixel of (N, H, W, C).
Variable per_pixel(const Variable& features) {
  return reshape(features, {features.size(0), 1, 1, features.size(1)});
}

}  // namespace

TutorialTime::TutorialTime(const TutorialUNetOptions& options, std::int64_t width,
                           Generator& generator)
    : features(options.time_features), embedding(options.embedding) {
  check(features == 0 || features >= 2,
        "tutorial U-Net: {} time features; give 0 for the raw time, or at least 2", features);
  if (features == 0) {
    raw = Linear({.in = 1, .out = width}, generator);
  } else {
    layers = Sequential{Linear({.in = features, .out = width}, generator), Function{silu},
                        Linear({.in = width, .out = width}, generator)};
  }
}

Variable TutorialTime::operator()(const Tensor& t) const {
  if (features == 0) return raw(Variable(t.to(raw.weight.dtype()).reshape({-1, 1})));
  return layers(timestep_embedding(t, features, embedding));
}

void TutorialTime::visit(Visitor& v) {
  if (features == 0) {
    raw.visit(v);
  } else {
    layers.visit(v);
  }
}

SimpleUNet::SimpleUNet(const TutorialUNetOptions& options, Generator& generator)
    : down1(layer(options.channels, narrow), generator),
      down2(layer(narrow, wide), generator),
      time_mlp(options, wide, generator),
      up1(layer(wide, narrow), generator),
      up2(layer(narrow, options.channels), generator) {}

Variable SimpleUNet::operator()(const Variable& x, const Tensor& t,
                                const Conditioning& given) const {
  check_input("SimpleUNet", x, t, down1.weight.size(1));
  given.check_for("SimpleUNet", x.size(0), {});
  const Variable hidden = down2(down1(x, Activation::relu), Activation::relu);
  return up2(up1(hidden + per_pixel(time_mlp(t)), Activation::relu));
}

void SimpleUNet::visit(Visitor& v) {
  v("down1", down1);
  v("down2", down2);
  v("time_mlp", time_mlp);
  v("up1", up1);
  v("up2", up2);
}

ConditionalUNet::ConditionalUNet(std::int64_t num_classes, const TutorialUNetOptions& options,
                                 Generator& generator)
    : down1(layer(options.channels, narrow), generator),
      down2(layer(narrow, wide), generator),
      class_emb({.count = num_classes + 1, .width = wide}, generator),
      time_mlp(options, wide, generator),
      up1(layer(wide, narrow), generator),
      up2(layer(narrow, options.channels), generator) {
  check(num_classes > 0, "ConditionalUNet: {} classes; without classes take SimpleUNet",
        num_classes);
}

Variable ConditionalUNet::operator()(const Variable& x, const Tensor& t,
                                     const Conditioning& given) const {
  check_input("ConditionalUNet", x, t, down1.weight.size(1));
  given.check_for("ConditionalUNet", x.size(0), {"labels"});
  const Tensor classes = labels_or_null(given, x.size(0), x.device());
  const Variable hidden = down2(down1(x, Activation::relu), Activation::relu);
  const Variable features = time_mlp(t) + class_emb(classes);
  return up2(up1(hidden + per_pixel(features), Activation::relu));
}

void ConditionalUNet::visit(Visitor& v) {
  v("down1", down1);
  v("down2", down2);
  v("class_emb", class_emb);
  v("time_mlp", time_mlp);
  v("up1", up1);
  v("up2", up2);
}

}  // namespace ebb
