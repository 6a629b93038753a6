// How well a model would compress images: the variational bound on -log2 p(x_0), per dimension
// (Ho et al. 2020, eq. 5; Nichol & Dhariwal 2021, sec. 3).
//
//   L = KL(q(x_T | x_0) || N(0, I)) + sum over steps t -> s of KL(q(x_s | x_t, x_0) || p(x_s |
//   x_t))
//       - log p(x_0 | x_1)
//
// p has the variance of the posterior; its last step is a Gaussian around the predicted x_0 with
// the noise of the first level, its mass in the bin of each pixel's 8-bit value.
#pragma once

#include <ebb/diffusion/denoiser.h>
#include <ebb/diffusion/noise.h>
#include <ebb/diffusion/timesteps.h>

namespace ebb {

struct BitsPerDimension {
  double prior = 0, steps = 0, decoder = 0;  // the three terms
  double total() const { return prior + steps + decoder; }
};

struct BoundOptions {
  // How many of the grid's steps are evaluated: one in each of so many equal parts of the grid,
  // drawn at random, so that the estimate of the sum is unbiased. At most all.
  std::int64_t evaluations = 20;
  std::uint64_t seed = 0;
  std::int64_t first_sample = 0;  // the number of images[0]: another batch, other draws
};

// The mean over `images` (N, ...) in [-1, 1], whose values are 8-bit (multiples of 1 / 127.5 from
// -1 on). They go through `denoiser` as one batch. `grid`, from noise to the clean level, is the
// chain: ancestral sampling with those steps. Paths that do not preserve the variance are an
// Error.
BitsPerDimension bits_per_dimension(const Denoiser& denoiser, const TimeGrid& grid,
                                    const Tensor& images, const BoundOptions& options = {});

// log of the mass that N(mean, std^2) gives to the 8-bit bin of x, x - 1/255 to x + 1/255, the
// outermost bins open-ended; each element for itself, float64.
Tensor log_mass_of_bin(const Tensor& x, const Tensor& mean, double std);

}  // namespace ebb
