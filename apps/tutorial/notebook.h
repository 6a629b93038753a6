// The cells of the tutorial as functions, so that the program shows and the tests check the same
// computation. They draw from one stream in the tutorial's order: noised_squares, the parameters
// of SimpleUNet, training_cell, ddpm_cell, the parameters of ConditionalUNet, guidance_cell.
//
// The device of a cell is its model's. Images are (N, H, W, C) here; noise is drawn in PyTorch's
// order (N, C, H, W).
#pragma once

#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/samplers/samplers.h>

namespace ebb::apps::notebook {

inline constexpr std::uint64_t seed = 42;
inline constexpr std::int64_t timesteps = 200, image_size = 64, batch = 4;

// Linear betas 1e-4 to 0.02 over 200 steps, not rescaled.
Path path();

// The forward process: a white square on black at each of `times`, (1, 64, 64, 3).
std::vector<Tensor> noised_squares(const Path& path, const std::vector<std::int64_t>& times,
                                   Generator& generator);

// One loss on noise as data.
struct TrainingCell {
  Tensor t, x_t, noise;
  Variable prediction, loss;
};
TrainingCell training_cell(const Model& model, const Path& path, Generator& generator,
                           Device device = Device::cpu);

// A model without labels as the samplers see it.
Denoiser denoiser_of(const Model& model);
// Every step of the path; the tutorial's own loop, with the posterior variance mended.
Tensor ddpm_cell(const Model& model, const Path& path, Generator& generator,
                 const Observer& observer = {}, Device device = Device::cpu);
// Evenly spaced from 0 ("leading", as the tutorial), but run to the end: alpha_bar = 1.
Tensor ddim_cell(const Model& model, const Path& path, const Tensor& start, std::int64_t steps);

// Classes 3 and 7 at t = 50 and 100, without and with guidance.
struct GuidanceCell {
  Tensor x, conditional, unconditional, guided;
};
GuidanceCell guidance_cell(const Model& model, double scale, Generator& generator,
                           Device device = Device::cpu);

}  // namespace ebb::apps::notebook
