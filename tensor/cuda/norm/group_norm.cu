// Which way a normalisation goes.
#include <ebb/tensor/cuda/norm/norm_kernels.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

bool is_plain(const Tensor& x) {
  return x.dtype() != DType::float32 || x.numel() == 0 || x.numel() > INT32_MAX / 2;
}

void group_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out) {
  (is_plain(x)             ? plain_norm
   : groups.positions == 1 ? norm_by_rows
                           : norm_by_pieces)(x, groups, weight, bias, eps, silu, out);
}

void group_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out) {
  (is_plain(x) ? plain_norm_backward : norm_by_pieces_backward)(grad, x, groups, weight, bias, mean,
                                                                rstd, silu, out);
}

}  // namespace

void add_norm_kernels(Kernels& table) {
  table.group_norm = group_norm;
  table.group_norm_backward = group_norm_backward;
}

}  // namespace ebb::cuda
