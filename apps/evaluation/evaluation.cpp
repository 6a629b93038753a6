#include <ebb/apps/evaluation/evaluation.h>
#include <ebb/apps/system/console.h>
#include <ebb/diffusion/metrics/likelihood.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/weight_cache.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ebb::apps {
namespace {

constexpr std::int64_t least_count = 10, most_test_images = 10'000;
constexpr std::int64_t block_of_images = 4096;  // held as float32 at a time

// Calls see(images, labels, first) for blocks of the images at `indices`.
template <class See>
void each_block(const Dataset& data, const std::vector<std::int64_t>& indices, See see) {
  for (std::size_t first = 0; first < indices.size(); first += block_of_images) {
    const std::size_t last = std::min(indices.size(), first + block_of_images);
    see(data.batch({indices.begin() + static_cast<std::ptrdiff_t>(first),
                    indices.begin() + static_cast<std::ptrdiff_t>(last)}),
        first);
  }
}

struct Seen {
  Classification classification;
  Tensor labels;
};

Seen look_at(const FeatureClassifier& classifier, const Dataset& data,
             const std::vector<std::int64_t>& indices) {
  std::vector<Tensor> features, logits, labels;
  each_block(data, indices, [&](const Batch& batch, std::size_t) {
    const Classification seen = classify(classifier.network, batch.images);
    features.push_back(seen.features);
    logits.push_back(seen.logits);
    if (batch.conditioning.labels.defined()) labels.push_back(batch.conditioning.labels);
  });
  return {{cat(features, 0), cat(logits, 0)}, labels.empty() ? Tensor() : cat(labels, 0)};
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace

double median(std::vector<double> distances) { return quantile(std::move(distances), 0.5); }
double hundredth(std::vector<double> distances) { return quantile(std::move(distances), 0.01); }

Evaluation::Evaluation(const RunConfig& config, const FeatureClassifierOptions& classifier,
                       std::int64_t count, std::uint64_t seed)
    : config_(config),
      train_(open_dataset(config.data, Split::train)),
      test_(open_dataset(config.data, Split::test)),
      classifier_(open_feature_classifier(config.data, *train_, classifier)),
      count_(count),
      seed_(seed) {
  check_usage(count >= least_count && count <= train_->size(),
              "evaluate: {} samples to compare with {} training images; give {} to {}", count,
              train_->size(), least_count, train_->size());
  check(test_->size() >= least_count, "evaluate: {} test images; {} are needed", test_->size(),
        least_count);
  const Seen test =
      look_at(classifier_, *test_, chosen(*test_, std::min(test_->size(), most_test_images)));
  test_features_ = test.classification.features;
  matched_features_ = slice(test_features_, 0, 0, std::min(count, test_features_.size(0)));
  if (classifier_.trained) classifier_accuracy_ = accuracy(test.classification.logits, test.labels);
  const std::vector<std::int64_t> matched = chosen(*train_, count);
  const Seen train = look_at(classifier_, *train_, matched);
  if (train.labels.defined()) labels_ = train.labels.to_vector<std::int64_t>();
  if (config.text)
    for (const std::int64_t index : matched) captions_.push_back(train_->caption(index));
  floor_ = measure(train.classification);
}

std::vector<std::int64_t> Evaluation::chosen(const Dataset& data, std::int64_t count) const {
  return DataOrder(data.size(), count, seed_).indices(0);
}

SampleMetrics Evaluation::measure(const Classification& seen) const {
  SampleMetrics metrics;
  if (classifier_.trained) metrics.accuracy = accuracy(seen.logits, Tensor::from(labels_));
  metrics.frechet_distance = frechet_distance(seen.features, test_features_);
  metrics.kernel_distance = kernel_distance(seen.features, matched_features_);
  const PrecisionRecall found = precision_recall(matched_features_, seen.features);
  metrics.precision = found.precision;
  metrics.recall = found.recall;
  return metrics;
}

SampleMetrics Evaluation::measure(const Tensor& images) const {
  return measure(classify(classifier_.network, clamp(images, -1, 1)));
}

Neighbours Evaluation::nearest_training_images(const Tensor& images) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(train_->size()));
  std::iota(all.begin(), all.end(), 0);
  const Tensor queries = clamp(images, -1, 1);
  Neighbours best;
  each_block(*train_, all, [&](const Batch& batch, std::size_t first) {
    Neighbours here = nearest(queries, batch.images);
    for (std::int64_t& index : here.index) index += static_cast<std::int64_t>(first);
    if (first == 0) {
      best = std::move(here);
      return;
    }
    for (std::size_t i = 0; i < best.index.size(); ++i)
      if (here.distance[i] < best.distance[i]) {
        best.distance[i] = here.distance[i];
        best.index[i] = here.index[i];
      }
  });
  return best;
}

Neighbours Evaluation::nearest_training_images_of_test() const {
  const auto indices = chosen(*test_, std::min(test_->size(), count_));
  return nearest_training_images(test_->batch(indices).images);
}

std::optional<double> Evaluation::bits_per_dimension(const Model& model, Device device,
                                                     Split split) const {
  constexpr std::int64_t images = 256, evaluations = 32;
  const Path path = make_path(config_);
  if (path.steps() < 2 || path.at(path.t_noise()).alpha == 0) return std::nullopt;
  const Dataset& data = split == Split::train ? *train_ : *test_;
  Batch batch = data.batch(chosen(data, std::min(data.size(), images))).to(device);
  batch.conditioning = model.understood(batch.conditioning);
  WeightCache weights;
  const WeightCache::Scope scope(weights);
  const TimedPredictor predictor = [&](const Tensor& x, const Tensor& t,
                                       const Conditioning& given) {
    const NoGrad no_grad;
    return model(x, t, given).value();
  };
  return ebb::bits_per_dimension(predictor, path, config_.objective.prediction, batch,
                                 std::min(evaluations, path.steps() - 1),
                                 {seed_, 0, 0, batch.images.size(0)})
      .total();
}

}  // namespace ebb::apps
