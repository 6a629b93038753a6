// What an autoencoder is trained by (Kingma & Welling 2014, eq. 10; Rombach et al. 2022, app. G):
// the mean squared error of a decoded sample of the latents, and kl_weight times their KL
// divergence from N(0, 1).
#pragma once

#include <ebb/diffusion/latent/autoencoder_kl.h>
#include <ebb/nn/training/trainer.h>

namespace ebb {

struct AutoencoderObjective {
  double kl_weight = 1e-4;  // of the divergence in nats of an element of the latents
  bool flip = false;        // mirrors half of the images left to right
};

// `model` must outlive the result.
LossFunction autoencoder_objective(const AutoencoderKL& model,
                                   const AutoencoderObjective& config = {});

}  // namespace ebb
