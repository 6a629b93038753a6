// Normalisation over groups of channels: the entries of the table, and the plain loops they are
// held to.
#pragma once

#include <ebb/tensor/kernels.h>

namespace ebb::cpu {

void group_norm_reference(const Tensor& x, const Groups& groups, const Tensor& weight,
                          const Tensor& bias, double eps, bool silu, Normalized& out);
void group_norm_backward_reference(const Tensor& grad, const Tensor& x, const Groups& groups,
                                   const Tensor& weight, const Tensor& bias, const Tensor& mean,
                                   const Tensor& rstd, bool silu, NormGradients& out);

}  // namespace ebb::cpu
