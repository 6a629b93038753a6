// The noise that samplers add. Addressed, not consumed: what sample n gets at a draw does not
// depend on the batch that it is in.
#pragma once

#include <ebb/tensor/random/random.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace ebb {

// N(0, 1) of the shape, dtype and device of `like` (N, ...). `draw` counts a sampler's draws from
// 0; every sampler says how many it makes in a step.
using NoiseSource = std::function<Tensor(const Tensor& like, std::int64_t draw)>;

// Row i is a function of (seed, purpose, draw, first_sample + i).
NoiseSource philox_noise(std::uint64_t seed, std::int64_t first_sample = 0,
                         Purpose purpose = Purpose::sampler);
// Row i belongs to sample samples[i], in any order.
NoiseSource philox_noise(std::uint64_t seed, std::vector<std::int64_t> samples,
                         Purpose purpose = Purpose::sampler);
// One draw after another from `generator`, which must outlive the source. channels_first fills
// images (N, H, W, C) in PyTorch's order (N, C, H, W).
NoiseSource generator_noise(Generator& generator, bool channels_first = false);

}  // namespace ebb
