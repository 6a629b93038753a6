// The ways to normalise groups of channels (tensor/ops/norm.h), and what they share.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

// Plainly, of any sizes; of float32 with up to 2^30 elements and at least one, by pieces of
// the positions, and where there is one position, by rows.
void plain_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out);
void plain_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out);
void norm_by_pieces(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                    double eps, bool silu, Normalized& out);
void norm_by_pieces_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                             const Tensor& weight, const Tensor& bias, const Tensor& mean,
                             const Tensor& rstd, bool silu, NormGradients& out);
void norm_by_rows(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                  double eps, bool silu, Normalized& out);
// The gradient by x alone.
void norm_by_rows_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                           const Tensor& weight, const Tensor& bias, const Tensor& mean,
                           const Tensor& rstd, bool silu, Tensor& dx);

// Weight and bias, either null for none, and how far a sample's are from the next one's.
template <class T>
struct Affine {
  const T *weight, *bias;
  std::int64_t weight_step, bias_step;

  constexpr T scale(std::int64_t sample, std::int64_t channel) const {
    return weight == nullptr ? T(1) : weight[sample * weight_step + channel];
  }
  constexpr T shift(std::int64_t sample, std::int64_t channel) const {
    return bias == nullptr ? T(0) : bias[sample * bias_step + channel];
  }
};

template <class T>
Affine<T> affine_of(const Groups& groups, const Tensor& weight, const Tensor& bias) {
  return {weight.defined() ? input<T>(weight) : nullptr, bias.defined() ? input<T>(bias) : nullptr,
          groups.parameter_stride(weight), groups.parameter_stride(bias)};
}

}  // namespace ebb::cuda
