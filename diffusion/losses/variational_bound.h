// The variational bound of a table of steps, with a learned variance (Ho et al. 2020, eq. 5;
// Nichol & Dhariwal 2021, eq. 4 to 7 and 14 to 16). Images in [-1, 1] have 256 values.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/diffusion/schedules/path.h>
#include <ebb/diffusion/schedules/prediction.h>

namespace ebb {

// What the bound is taken of: x_t = alpha x_0 + sigma eps at integer times t (N) of a table.
struct BoundInputs {
  Tensor x0, x_t;  // (N, ..., C)
  Tensor t;        // (N)
};

// L_t in bits for each dimension, (N): the KL divergence of the model's p(x_{t-1} | x_t) from the
// posterior q(x_{t-1} | x_t, x_0); at t = 0 minus the log likelihood of x_0's 256th. `output`
// (N, ..., C) is the prediction; `variance` (N, ..., C) in [-1, 1] places the log variance between
// those of the posterior and of q(x_t | x_{t-1}), undefined takes the posterior's.
Variable bound_terms(const Path& path, Prediction prediction, const BoundInputs& inputs,
                     const Variable& output, const Variable& variance = {});
// The term at T, KL(q(x_T | x_0) || N(0, I)) in bits for each dimension, (N). No gradient.
Tensor bound_prior(const Path& path, const Tensor& x0);

// The simple loss plus lambda times the bound: `output` (N, ..., 2C) is prediction, then variance;
// the bound trains the variance alone (Nichol & Dhariwal 2021, eq. 16).
Variable hybrid_loss(const Path& path, Prediction prediction, const BoundInputs& inputs,
                     const Tensor& eps, const Variable& output, double lambda = 0.001);

}  // namespace ebb
