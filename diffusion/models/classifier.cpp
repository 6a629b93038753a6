#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/classifier.h>

namespace ebb {

namespace {

Conv2d::Options convolution(std::int64_t in, std::int64_t out) {
  return {.in = in, .out = out, .padding = {1, 1}};
}

}  // namespace

Classifier::Classifier(std::int64_t channels, std::int64_t classes, Generator& generator)
    : conv1_(convolution(channels, 32), generator),
      conv2_(convolution(32, 64), generator),
      conv3_(convolution(64, feature_count), generator),
      conv4_(convolution(feature_count, feature_count), generator),
      norm1_({.groups = 8, .channels = 32}),
      norm2_({.groups = 8, .channels = 64}),
      norm3_({.groups = 8, .channels = feature_count}),
      norm4_({.groups = 8, .channels = feature_count}),
      head_({.in = feature_count, .out = classes}, generator) {
  check(classes >= 2, "Classifier: {} classes; two or more are needed", classes);
}

Variable Classifier::features(const Variable& images) const {
  check(images.rank() == 4 && images.size(1) >= 4 && images.size(2) >= 4,
        "Classifier: images of shape {}; (N, H, W, C) of at least 4 x 4 is needed", images.shape());
  Variable h = max_pool2d(norm1_(conv1_(images), /*silu=*/true));
  h = max_pool2d(norm2_(conv2_(h), /*silu=*/true));
  h = norm3_(conv3_(h), /*silu=*/true);
  return mean(norm4_(conv4_(h), /*silu=*/true), {1, 2});
}

void Classifier::visit(Visitor& v) {
  v("conv1", conv1_);
  v("norm1", norm1_);
  v("conv2", conv2_);
  v("norm2", norm2_);
  v("conv3", conv3_);
  v("norm3", norm3_);
  v("conv4", conv4_);
  v("norm4", norm4_);
  v("head", head_);
}

Classification classify(const Classifier& classifier, const Tensor& images, std::int64_t batch) {
  check(images.rank() == 4 && images.size(0) > 0 && batch > 0,
        "classify: images of shape {} in batches of {}; at least one image is needed",
        images.shape(), batch);
  const NoGrad no_grad;
  std::vector<Tensor> features, logits;
  for (std::int64_t first = 0; first < images.size(0); first += batch) {
    const Variable seen = classifier.features(slice(images, 0, first, first + batch));
    features.push_back(seen.value());
    logits.push_back(classifier.logits(seen).value());
  }
  return {cat(features, 0), cat(logits, 0)};
}

LossFunction classification_objective(const Classifier& classifier, bool flip) {
  return [&classifier, flip](const Batch& batch, const StepDraws& draws) {
    const Tensor images = flip ? flip_half(batch.images, draws) : batch.images;
    return cross_entropy(classifier.logits(classifier.features(images)), batch.conditioning.labels);
  };
}

}  // namespace ebb
