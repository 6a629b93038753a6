// How good samples are: their figures against a data set's test images, by a classifier's features.
#pragma once

#include <ebb/apps/evaluation/feature_classifier.h>
#include <ebb/apps/runs/run_config.h>
#include <ebb/diffusion/metrics/metrics.h>

#include <optional>

namespace ebb::apps {

// What metrics.h tells of a set of images.
struct SampleMetrics {
  std::optional<double>
      accuracy;  // share that the classifier puts into the class that was asked for
  double frechet_distance = 0, kernel_distance = 0, precision = 0, recall = 0;
};

// The middle one, and the one under which a hundredth of them lie.
double median(std::vector<double> distances);
double hundredth(std::vector<double> distances);

// The test images of a data set as a classifier sees them, and as many training images as there are
// samples to be judged: compared with the test images like samples, these give the floor.
class Evaluation {
 public:
  // Judges sets of `count` images, at least 10 and at most as many as there are training images.
  // The Frechet distance is against all test images (10,000 at most), the other figures against
  // `count` of them. The seed chooses the images.
  Evaluation(const RunConfig& config, const FeatureClassifierOptions& classifier,
             std::int64_t count, std::uint64_t seed);

  std::int64_t count() const { return count_; }
  // The classes that samples are to have: those of the training images behind the floor. Empty
  // without classes.
  const std::vector<std::int64_t>& labels() const { return labels_; }
  // The captions of the same images. Empty unless the run was trained on captions.
  const std::vector<std::string>& captions() const { return captions_; }
  // images (count, H, W, C) of these classes, or captions.
  SampleMetrics measure(const Tensor& images) const;
  const SampleMetrics& floor() const { return floor_; }

  const std::string& classifier_file() const { return classifier_.file; }
  std::optional<double> classifier_accuracy() const {
    return classifier_accuracy_;
  }  // on test images

  // The nearest training image of each image, by the Euclidean distance of their pixels; and of
  // `count` test images, which no model can have memorised.
  Neighbours nearest_training_images(const Tensor& images) const;
  Neighbours nearest_training_images_of_test() const;
  // Images of the training split.
  Tensor training_images(const std::vector<std::int64_t>& indices) const {
    return train_->batch(indices).images;
  }
  // The bound on up to 256 images of a split (likelihood.h). None on a path without a table of
  // steps, or one whose last step is pure noise.
  std::optional<double> bits_per_dimension(const Model& model, Device device, Split split) const;

 private:
  SampleMetrics measure(const Classification& seen) const;
  std::vector<std::int64_t> chosen(const Dataset& data, std::int64_t count) const;

  RunConfig config_;
  std::unique_ptr<Dataset> train_, test_;
  FeatureClassifier classifier_;
  std::int64_t count_;
  std::uint64_t seed_;
  std::vector<std::int64_t> labels_;
  std::vector<std::string> captions_;
  Tensor test_features_, matched_features_;  // of all test images; of as many as samples
  std::optional<double> classifier_accuracy_;
  SampleMetrics floor_;
};

}  // namespace ebb::apps
