// Rules and names: nn/optim/optimizer.h.
#include <ebb/tensor/cuda/optim/slots.h>
#include <ebb/tensor/cuda/table.h>

#include <cmath>

namespace ebb::cuda {

namespace {

template <class T>
T* slot_data(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.raw()) : nullptr;
}

template <class T>
struct AdamTensors {
  T* value;
  const T* grad;
  T *m, *v, *v_max;
  std::int64_t count;
  T rate, root;  // learning rate and the square's factor, both with the step's correction
};
template <class T>
struct AdamNumbers {
  T scale, beta1, rest1, beta2, rest2, eps, added, keep;
};

template <class T>
__global__ void adam_kernel(const SlotTable<AdamTensors<T>> table, const AdamNumbers<T> r) {
  std::int64_t begin, end;
  const AdamTensors<T>& s = table.slot[table.of_block(begin, end)];
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const T value = s.value[i];
    const T g = s.grad[i] * r.scale + r.added * value;
    const T m = r.beta1 * s.m[i] + r.rest1 * g;
    const T v = r.beta2 * s.v[i] + r.rest2 * g * g;
    T square = v;
    if (s.v_max != nullptr) {
      const T before = s.v_max[i];
      s.v_max[i] = square = before < v ? v : before;
    }
    s.m[i] = m;
    s.v[i] = v;
    s.value[i] = r.keep * value - s.rate * m / (std::sqrt(square) * s.root + r.eps);
  }
}

template <class T>
struct SgdTensors {
  T* value;
  const T* grad;
  T* velocity;
  std::int64_t count;
  bool first;  // step
};
template <class T>
struct SgdNumbers {
  T scale, decay, rate, momentum, fresh;
  bool nesterov;
};

template <class T>
__global__ void sgd_kernel(const SlotTable<SgdTensors<T>> table, const SgdNumbers<T> r) {
  std::int64_t begin, end;
  const SgdTensors<T>& s = table.slot[table.of_block(begin, end)];
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const T value = s.value[i];
    const T g = s.grad[i] * r.scale + r.decay * value;
    T move = g;
    if (s.velocity != nullptr) {
      // The first velocity is the gradient itself, undampened.
      const T velocity = s.first ? g : r.momentum * s.velocity[i] + r.fresh * g;
      s.velocity[i] = velocity;
      move = r.nesterov ? g + r.momentum * velocity : velocity;
    }
    s.value[i] = value - r.rate * move;
  }
}

// The slots of `dtype` as the kernel's.
template <class Slot, class Make>
auto made(const std::vector<Slot>& slots, DType dtype, const Make& make) {
  std::vector<decltype(make(slots.front()))> result;
  for (const Slot& s : slots)
    if (s.value.dtype() == dtype && s.value.numel() > 0) result.push_back(make(s));
  return result;
}

template <class T>
void adam_of(const std::vector<AdamSlot>& slots, const AdamRule& rule, DType dtype) {
  const AdamNumbers<T> numbers{
      T(rule.grad_scale),
      T(rule.beta1),
      T(1 - rule.beta1),
      T(rule.beta2),
      T(1 - rule.beta2),
      T(rule.eps),
      rule.decoupled ? T(0) : T(rule.weight_decay),
      rule.decoupled ? T(1 - rule.learning_rate * rule.weight_decay) : T(1)};
  const auto tensors = made(slots, dtype, [&](const AdamSlot& s) {
    const double step = static_cast<double>(s.step);
    return AdamTensors<T>{slot_data<T>(s.value),
                          slot_data<T>(s.grad),
                          slot_data<T>(s.m),
                          slot_data<T>(s.v),
                          slot_data<T>(s.v_max),
                          s.value.numel(),
                          T(rule.learning_rate / (1 - std::pow(rule.beta1, step))),
                          T(1 / std::sqrt(1 - std::pow(rule.beta2, step)))};
  });
  for_tables(tensors, [&](const auto& table) {
    launch("adam_step", adam_kernel<T>, table.blocks(), block_threads, 0, table, numbers);
  });
}

template <class T>
void sgd_of(const std::vector<SgdSlot>& slots, const SgdRule& rule, DType dtype) {
  const SgdNumbers<T> numbers{T(rule.grad_scale), T(rule.weight_decay),  T(rule.learning_rate),
                              T(rule.momentum),   T(1 - rule.dampening), rule.nesterov};
  const auto tensors = made(slots, dtype, [&](const SgdSlot& s) {
    return SgdTensors<T>{slot_data<T>(s.value), slot_data<T>(s.grad), slot_data<T>(s.velocity),
                         s.value.numel(), s.step == 1};
  });
  for_tables(tensors, [&](const auto& table) {
    launch("sgd_step", sgd_kernel<T>, table.blocks(), block_threads, 0, table, numbers);
  });
}

void adam_step(std::vector<AdamSlot>& slots, const AdamRule& rule) {
  adam_of<float>(slots, rule, DType::float32);
  adam_of<double>(slots, rule, DType::float64);
}

void sgd_step(std::vector<SgdSlot>& slots, const SgdRule& rule) {
  sgd_of<float>(slots, rule, DType::float32);
  sgd_of<double>(slots, rule, DType::float64);
}

}  // namespace

void add_sum_of_squares(Kernels& table);

void add_optim_kernels(Kernels& table) {
  table.adam_step = adam_step;
  table.sgd_step = sgd_step;
  add_sum_of_squares(table);
}

}  // namespace ebb::cuda
