// Training losses of diffusion models.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/diffusion/path.h>
#include <ebb/diffusion/prediction.h>

namespace ebb {

// mean over samples n and their elements of weights[n] (output - target)^2; weights (N) or
// undefined for the simple loss (Ho et al. 2020, eq. 14).
Variable weighted_mse(const Variable& output, const Tensor& target, const Tensor& weights = {});

}  // namespace ebb
