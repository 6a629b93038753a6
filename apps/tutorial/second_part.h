// The second half of the tutorial: latents, words, what was never seen, and fewer steps.
#pragma once

#include <ebb/apps/evaluation/feature_classifier.h>

#include <string>

namespace ebb::apps {

struct SecondPart {
  std::string out;
  double minutes = 30;                    // of training, in all
  std::int64_t judged = 100, steps = 50;  // samples for each figure, and steps for each sample
  FeatureClassifierOptions judge{default_cache()};
};
// Runs are trained on scenes into the folder `out`; one that is there already (autoencoder, text,
// steps-4, steps-2, steps-1) is taken as it is. Each section prints its figures and names its
// picture.
void second_part(const SecondPart& options);

}  // namespace ebb::apps
