// The loss that a denoising network is trained by (Ho et al. 2020, alg. 1): a time and noise for
// every image, the network's prediction at the noised image, its weighted squared error.
#pragma once

#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/models/model.h>
#include <ebb/nn/training/trainer.h>

namespace ebb {

// Which parts of the path are seen: all alike, or the middle more often, where what the image is
// of is decided (training_times.h). A flow's shift counts in both.
enum class TrainingTimes : std::uint8_t { uniform, logit_normal };

struct ObjectiveConfig {
  Prediction prediction = Prediction::v;
  // What is known of an image is dropped (Model::null_conditioning) with this probability, so that
  // the network also learns images of which it is told nothing (Ho & Salimans 2022, alg. 1).
  double label_dropout = 0.1;
  TrainingTimes times = TrainingTimes::uniform;
  // Times of a batch: one uniform draw in each of N equal parts instead of N
  // independent ones (Kingma et al. 2021, app. I.1).
  bool stratified = true;
  LossWeight weight = {};  // how much each time counts (loss.h)
  bool flip = false;       // mirrors half of the images left to right
};

// `model` must outlive the result.
LossFunction diffusion_objective(const Model& model, const Path& path,
                                 const ObjectiveConfig& config = {});

}  // namespace ebb
