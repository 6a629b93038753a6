// How well an autoencoder gives back images that it was not trained on.
#pragma once

#include <ebb/apps/evaluation/feature_classifier.h>
#include <ebb/apps/runs/run_config.h>

#include <nlohmann/json.hpp>

namespace ebb::apps {

struct ReconstructionMetrics {
  // -10 log10 of the mean squared error of values in [0, 1], over all test images, in dB.
  double psnr = 0;
  // Of the reconstructions' features from those of other images; `frechet_floor`: of the images'
  // own.
  double frechet_distance = 0, frechet_floor = 0;
  // Of the latents' means, and their divergence from N(0, 1) in nats for each of their values.
  double latent_mean = 0, latent_std = 0, kl = 0;
};
nlohmann::json to_json(const ReconstructionMetrics& metrics);

// Of `count` test images, at least 2, or all; the features are a classifier's (of scenes:
// scene_classifier.h). `out` (.json): `head` and the figures, beside it a picture of images over
// what became of them.
void evaluate_reconstructions(AutoencoderKL& autoencoder, const RunConfig& config,
                              const FeatureClassifierOptions& classifier, std::int64_t count,
                              nlohmann::json head, const std::string& out);

}  // namespace ebb::apps
