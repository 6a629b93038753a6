// The samplers. All return x at the last level of the grid; x starts at the first.
//
// s is the ratio sigma / alpha, lambda = -log s, and barred x is x / alpha. Where a method is
// written in s and the grid starts from pure noise (s infinite), the first step is DDIM's.
#pragma once

#include <ebb/diffusion/samplers/sampler.h>

namespace ebb {

// Ancestral sampling (Ho et al. 2020, alg. 2): x_s ~ q(x_s | x_t, x_0 predicted), respaced to the
// grid. One draw a step, none into the last level.
enum class DdpmVariance : std::uint8_t {
  small,          // that of the posterior
  large,          // that of q(x_t | x_s)
  learned_range,  // between the two in the logarithm, as the model says
};
Tensor ddpm(const Sampling& s, Tensor x, DdpmVariance variance = DdpmVariance::small);

// x_s = alpha_s x_0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z, v = eta^2 times the posterior's
// variance (Song et al. 2021, eq. 12). eta in [0, 1]: 0 is deterministic, 1 is DDPM.
Tensor ddim(const Sampling& s, Tensor x, double eta = 0);
// The same ODE upwards: x_0 to its latent. The grid ascends; the model is told the level that the
// step goes to. (Dhariwal & Nichol 2021, app. F.)
Tensor ddim_inversion(const Sampling& s, Tensor x);

}  // namespace ebb
