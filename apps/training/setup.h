// Everything that a run is trained by, made and so checked before a run is.
#pragma once

#include <ebb/apps/training/training.h>

namespace ebb::apps {

struct TrainingSetup {
  std::unique_ptr<Dataset> data;
  std::unique_ptr<Model> model;  // one of these is what learns
  std::unique_ptr<AutoencoderKL> autoencoder;
  Tensor latents;  // of the data, scaled, where the model learns those
  std::unique_ptr<Trainer> trainer;
  double memory = 0;  // bytes, of a step
  TrainingTask task;  // which the members above must outlive

  std::int64_t parameters() const;
};

// `latents` of the data set's images, not scaled, where config.latent is. An Error where the
// configuration cannot be trained, or its step takes more memory than there is.
std::unique_ptr<TrainingSetup> set_up(const RunConfig& config, const TrainingPlan& plan,
                                      const Tensor& latents);

}  // namespace ebb::apps
