// How much memory a network's work will take, known before the work begins.
//
// Activations grow with the pixels and with the images at once; gradients and transformed weights
// do not. Both are measured with one and with two images of at most 4,096 pixels, and scaled; what
// the program holds already is added.
#pragma once

#include <ebb/apps/runs/run_config.h>

namespace ebb::apps {

struct MemoryForecast {
  double fixed = 0;      // bytes
  double per_image = 0;  // bytes for each image of those at once
  double of(std::int64_t images) const { return fixed + per_image * static_cast<double>(images); }
};

// A step of training by a program that has loaded all that it needs for it.
MemoryForecast training_memory(const RunConfig& config);
// A step, by a model on `device`, of a sampler without guidance, which doubles the images at once.
MemoryForecast sampling_memory(const Model& model, const RunConfig& config, Device device);
// What making pictures of a latent model's samples adds, for each of those that are decoded at once
// (latents_at_once); nothing for others.
MemoryForecast decoding_memory(const Model& model, const RunConfig& config);

}  // namespace ebb::apps
