// What the tutorial leaves out: the mend of its time input, a training run, and pictures of what
// the trained model draws. Both train on Fashion-MNIST where it is installed, else on `shapes`.
#pragma once

#include <ebb/tensor/device.h>

#include <cstdint>
#include <string>

namespace ebb::apps {

// Trains the tutorial's conditional U-Net with t as it is and with sinusoidal features of t, and
// prints both losses.
void compare_time_inputs(Device device);

// Trains a small UNet2D for `steps` batches of 64 and writes ddpm.png, ddim.png and guided.png, a
// row for each class, to the folder `out`.
void train_and_sample(const std::string& out, std::int64_t steps, Device device);

}  // namespace ebb::apps
