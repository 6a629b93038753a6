// A small convolutional network that judges samples: its classes say whether a sample is what was
// asked for, its features feed the measures in metrics.h.
#pragma once

#include <ebb/nn/layers/layers.h>
#include <ebb/nn/training/trainer.h>

namespace ebb {

// Four times: 3x3 convolution, group normalisation, SiLU; after the first two half the size by 2x2
// maxima, at the end the mean over the pixels; then one linear layer.
class Classifier {
 public:
  static constexpr std::int64_t feature_count = 128;

  Classifier(std::int64_t channels, std::int64_t classes, Generator& generator);

  // images (N, H, W, channels) in [-1, 1], H and W at least 4; (N, feature_count).
  Variable features(const Variable& images) const;
  // (N, classes).
  Variable logits(const Variable& features) const { return head_(features); }
  void visit(Visitor& v);
  std::int64_t num_classes() const { return head_.weight.size(0); }

 private:
  Conv2d conv1_, conv2_, conv3_, conv4_;
  GroupNorm norm1_, norm2_, norm3_, norm4_;
  Linear head_;
};

// What a classifier sees in many images, taken in batches and without a graph.
struct Classification {
  Tensor features;  // (N, feature_count)
  Tensor logits;    // (N, classes)
};
Classification classify(const Classifier& classifier, const Tensor& images,
                        std::int64_t batch = 256);

// Mean cross-entropy; `flip` mirrors half of the images left to right. `classifier` must outlive
// the result.
LossFunction classification_objective(const Classifier& classifier, bool flip);

}  // namespace ebb
