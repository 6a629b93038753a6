// Normalisation over groups of channels: the entries of the table and their loops.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cpu {

void group_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out);
void group_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out);

// The same for rows of n: one position, one group, no silu.
template <class T>
void layer_norm(const T* x, std::int64_t rows, std::int64_t n, const T* weight, const T* bias,
                double eps, T* y, T* mean, T* rstd);
template <class T>
void layer_norm_backward(const T* grad, const T* x, std::int64_t rows, std::int64_t n,
                         const T* weight, const T* mean, const T* rstd, T* dx, T* dweight,
                         T* dbias);

// The loops over a block of rows of one sample, for the instruction set that runs. Arrays that are
// not x, y or gradients have one value a channel.
template <class T>
struct NormLoops {
  // sums[c] += x - shift, sums[channels + c] += (x - shift)^2, in float64 after every few rows.
  void (*sum)(const T* x, std::int64_t rows, std::int64_t channels, const T* shift, double* sums);
  // y = (x - shift) scale + bias, then x sigmoid(x) of it if silu.
  void (*apply)(const T* x, std::int64_t rows, std::int64_t channels, const T* shift,
                const T* scale, const T* bias, bool silu, T* y);
  // inner = grad, through silu's derivative if silu; sums[c] += inner,
  // sums[channels + c] += inner (x - mean). inner may be grad.
  void (*gradient)(const T* grad, const T* x, std::int64_t rows, std::int64_t channels,
                   const T* mean, const T* scale, const T* bias, bool silu, T* inner, double* sums);
  // dx = inner p - q - (x - mean) r; dx may be inner.
  void (*combine)(const T* inner, const T* x, std::int64_t rows, std::int64_t channels,
                  const T* mean, const T* p, const T* q, const T* r, T* dx);
};
template <class T>
NormLoops<T> norm_loops();

}  // namespace ebb::cpu
