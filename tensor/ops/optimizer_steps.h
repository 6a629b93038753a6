// The inner loops of the optimizers: one pass over all parameters that reads each gradient once
// and writes value and moments. Rules and names: nn/optim/optimizer.h.
#pragma once

#include <ebb/tensor/tensor.h>

#include <vector>

namespace ebb {

// A parameter and what its optimizer keeps. All have the parameter's shape, dtype and device;
// those marked optional may be undefined. value and the state change in place.
struct AdamSlot {
  Tensor value, grad;
  Tensor m, v;            // running means of the gradient and of its square
  Tensor v_max;           // optional: the largest v so far (AMSGrad)
  std::int64_t step = 1;  // 1 for the first
};
struct AdamRule {
  double learning_rate, beta1, beta2, eps, weight_decay;
  bool decoupled;  // weight decay shrinks the value (AdamW) instead of adding to the gradient
  double grad_scale = 1;
};
void adam_step(std::vector<AdamSlot>& slots, const AdamRule& rule);

struct SgdSlot {
  Tensor value, grad;
  Tensor velocity;  // optional: without it there is no momentum
  std::int64_t step = 1;
};
struct SgdRule {
  double learning_rate, momentum, dampening, weight_decay;
  bool nesterov;
  double grad_scale = 1;
};
void sgd_step(std::vector<SgdSlot>& slots, const SgdRule& rule);

// The sum of the squares of all elements of all `tensors` (floating, on one device, at least one),
// a float64 scalar there, added in an order that depends on their sizes alone.
Tensor sum_of_squares(const std::vector<Tensor>& tensors);

}  // namespace ebb
