// Normalisations. Channels are the last dimension.
//
// y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(var + eps), var over n (biased).
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

// The value, as which it may be used, and what backward needs.
struct Normalized {
  Tensor y, mean, rstd;
  operator const Tensor&() const { return y; }  // NOLINT
};
struct NormGradients {
  Tensor x, weight, bias;
};

// Group normalisation (Wu & He 2018). x (N, ..., C), weight and bias (C), (N, C) with its own for
// each sample, or undefined; mean and rstd (N, groups), over the sample's positions and the
// C/groups channels of a group. `silu` applies x sigmoid(x) to the result in the same pass.
Normalized group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight = {},
                      const Tensor& bias = {}, double eps = 1e-5, bool silu = false);
// Takes the memory of `grad` for the gradient by x where nobody else has it.
NormGradients group_norm_backward(Tensor grad, const Tensor& x, std::int64_t groups,
                                  const Tensor& weight, const Tensor& bias, const Tensor& mean,
                                  const Tensor& rstd, bool silu = false);

// Layer normalisation (Ba et al. 2016) over the last weight.numel() elements: x (..., *shape),
// weight and bias `shape`, which must be the end of x's shape. mean and rstd (rows).
Normalized layer_norm(const Tensor& x, const Shape& shape, const Tensor& weight = {},
                      const Tensor& bias = {}, double eps = 1e-5);
NormGradients layer_norm_backward(const Tensor& grad, const Tensor& x, const Shape& shape,
                                  const Tensor& weight, const Tensor& mean, const Tensor& rstd);

// Batch normalisation (Ioffe & Szegedy 2015), training form: statistics (C) over everything but
// the channels of x (N, ..., C).
Normalized batch_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                      double eps = 1e-5);
NormGradients batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& weight,
                                  const Tensor& mean, const Tensor& rstd);

}  // namespace ebb
