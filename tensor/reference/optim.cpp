// Rules and names: nn/optim/optimizer.h.
#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <cmath>

namespace ebb::reference {

namespace {

template <class T>
T* data(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.raw()) : nullptr;
}

void adam_step(std::vector<AdamSlot>& slots, const AdamRule& rule) {
  for (AdamSlot& s : slots)
    dispatch_floating("adam_step", s.value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const double step = static_cast<double>(s.step);
      const T rate = T(rule.learning_rate / (1 - std::pow(rule.beta1, step)));
      const T root = T(1 / std::sqrt(1 - std::pow(rule.beta2, step)));
      const T added = rule.decoupled ? T(0) : T(rule.weight_decay);
      const T keep = rule.decoupled ? T(1 - rule.learning_rate * rule.weight_decay) : T(1);
      T *value = data<T>(s.value), *m = data<T>(s.m), *v = data<T>(s.v), *v_max = data<T>(s.v_max);
      for (std::int64_t i = 0; i < s.value.numel(); ++i) {
        const T g = data<T>(s.grad)[i] * T(rule.grad_scale) + added * value[i];
        m[i] = T(rule.beta1) * m[i] + T(1 - rule.beta1) * g;
        v[i] = T(rule.beta2) * v[i] + T(1 - rule.beta2) * g * g;
        if (v_max) v_max[i] = std::max(v_max[i], v[i]);
        const T square = v_max ? v_max[i] : v[i];
        value[i] = keep * value[i] - rate * m[i] / (std::sqrt(square) * root + T(rule.eps));
      }
    });
}

void sgd_step(std::vector<SgdSlot>& slots, const SgdRule& rule) {
  for (SgdSlot& s : slots)
    dispatch_floating("sgd_step", s.value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const bool first = s.step == 1;  // the first velocity is the gradient itself, undampened
      T *value = data<T>(s.value), *velocity = data<T>(s.velocity);
      for (std::int64_t i = 0; i < s.value.numel(); ++i) {
        const T g = data<T>(s.grad)[i] * T(rule.grad_scale) + T(rule.weight_decay) * value[i];
        T move = g;
        if (velocity) {
          velocity[i] = first ? g : T(rule.momentum) * velocity[i] + T(1 - rule.dampening) * g;
          move = rule.nesterov ? g + T(rule.momentum) * velocity[i] : velocity[i];
        }
        value[i] -= T(rule.learning_rate) * move;
      }
    });
}

void sum_of_squares(const std::vector<Tensor>& tensors, Tensor& out) {
  double sum = 0;
  for (const Tensor& t : tensors)
    dispatch_floating("sum_of_squares", t.dtype(), [&](auto zero) {
      const auto* x = input<decltype(zero)>(t);
      for (std::int64_t i = 0; i < t.numel(); ++i) sum += double(x[i]) * double(x[i]);
    });
  *output<double>(out) = sum;
}

}  // namespace

void add_optim_kernels(Kernels& table) {
  table.adam_step = adam_step;
  table.sgd_step = sgd_step;
  table.sum_of_squares = sum_of_squares;
}

}  // namespace ebb::reference
