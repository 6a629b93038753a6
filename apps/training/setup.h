// Everything that a run is trained by, made and so checked before a run is.
#pragma once

#include <ebb/apps/training/training.h>

namespace ebb::apps {

struct TrainingSetup {
  std::unique_ptr<Dataset> data;
  std::unique_ptr<Model> model;  // one of these is what learns
  std::unique_ptr<AutoencoderKL> autoencoder;
  std::unique_ptr<Model> teacher;  // of a student
  Tensor latents;                  // of the data, scaled, where the model learns those
  std::unique_ptr<Trainer> trainer;
  double memory = 0;   // bytes, of a step
  double seconds = 0;  // of a step, about: measured on a few images
  TrainingTask task;   // which the members above must outlive

  std::int64_t parameters() const;
};

// What a run is trained from beside its data set.
struct TrainingSources {
  Tensor latents;  // of its images, not scaled, where config.latent is
  // Weights that a student begins as, those of its teacher; none: it has no teacher.
  std::vector<NamedTensor> teacher;
};

// An Error where the configuration cannot be trained, or its step takes more memory than there is.
std::unique_ptr<TrainingSetup> set_up(const RunConfig& config, const TrainingPlan& plan,
                                      const TrainingSources& sources);

}  // namespace ebb::apps
