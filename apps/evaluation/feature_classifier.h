// The network that judges samples: a small classifier (diffusion/models/classifier.h), trained by
// this library on the training images of a data set and kept in a cache, so that it is trained
// once.
#pragma once

#include <ebb/apps/data/dataset.h>
#include <ebb/diffusion/models/classifier.h>

#include <string>

namespace ebb::apps {

struct FeatureClassifierOptions {
  std::string cache;  // a folder, made if it is missing
  // Of its training, 128 images each. 0: the usual ones, or 50 passes over the images if that is
  // less.
  std::int64_t steps = 0;
};
inline constexpr std::int64_t usual_judge_steps = 2000;

struct FeatureClassifier {
  Classifier network;
  std::string file;      // where it is kept
  bool trained = false;  // false: a data set without classes; its features are random ones
};

// $XDG_CACHE_HOME/ebb, or ~/.cache/ebb.
std::string default_cache();

// The classifier of the data set whose training images these are. One that is in the cache but
// damaged, or of another data set or length of training, is trained again and replaced. A cache
// that cannot be written costs a remark only.
FeatureClassifier open_feature_classifier(const DatasetOptions& data, const Dataset& train,
                                          const FeatureClassifierOptions& options);

}  // namespace ebb::apps
