#include <ebb/diffusion/loss.h>

namespace ebb {

Variable weighted_mse(const Variable& output, const Tensor& target, const Tensor& weights) {
  check(output.shape() == target.shape(), "loss: output {} but target {}", output.shape(),
        target.shape());
  if (!weights.defined()) return mse_loss(output, target);
  return mean(square(output - Variable(target)) *
              Variable(per_sample(weights.to_vector<double>(), target)));
}

}  // namespace ebb
