// Optimizer steps: all parameters are cut into blocks, which the threads share in one pass.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ebb::cpu {

namespace {

constexpr std::int64_t update_grain = 1 << 14;

// Calls body(slot, number of the block, begin, end) for blocks of all slots; `numel` says how many
// elements one has.
template <class Slots, class Numel, class Body>
void for_blocks(Slots& slots, const Numel& numel, const Body& body) {
  std::vector<std::int64_t> first_block{0};
  for (const auto& slot : slots)
    first_block.push_back(first_block.back() + (numel(slot) + update_grain - 1) / update_grain);
  parallel_for(first_block.back(), 1, [&](std::int64_t block, std::int64_t) {
    const auto next = std::upper_bound(first_block.begin(), first_block.end(), block);
    auto& slot = slots[static_cast<std::size_t>(next - first_block.begin() - 1)];
    const std::int64_t begin = (block - *(next - 1)) * update_grain;
    body(slot, block, begin, std::min(numel(slot), begin + update_grain));
  });
}

template <class T>
T* data(const Tensor& t, std::int64_t begin) {
  return t.defined() ? static_cast<T*>(t.raw()) + begin : nullptr;
}

// The pointers differ, which the compiler must know to vectorise.
template <class T, bool with_max>
void adam_block(std::int64_t n, T* __restrict value, const T* __restrict grad, T* __restrict m,
                T* __restrict v, T* __restrict v_max, const AdamRule& rule, std::int64_t step) {
  const double t = static_cast<double>(step);
  const double correction1 = 1 - std::pow(rule.beta1, t), correction2 = 1 - std::pow(rule.beta2, t);
  const T scale = T(rule.grad_scale), beta1 = T(rule.beta1), beta2 = T(rule.beta2);
  const T rest1 = T(1 - rule.beta1), rest2 = T(1 - rule.beta2), eps = T(rule.eps);
  const T rate = T(rule.learning_rate / correction1), root = T(1 / std::sqrt(correction2));
  const T decay = rule.decoupled ? T(0) : T(rule.weight_decay);
  const T keep = rule.decoupled ? T(1 - rule.learning_rate * rule.weight_decay) : T(1);
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = grad[i] * scale + decay * value[i];
    m[i] = beta1 * m[i] + rest1 * g;
    v[i] = beta2 * v[i] + rest2 * g * g;
    T square = v[i];
    if constexpr (with_max) square = v_max[i] = v_max[i] > square ? v_max[i] : square;
    value[i] = keep * value[i] - rate * m[i] / (std::sqrt(square) * root + eps);
  }
}

void adam_step(std::vector<AdamSlot>& slots, const AdamRule& rule) {
  const auto numel = [](const AdamSlot& slot) { return slot.value.numel(); };
  for_blocks(slots, numel, [&](AdamSlot& s, std::int64_t, std::int64_t begin, std::int64_t end) {
    dispatch_floating("adam_step", s.value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto run = s.v_max.defined() ? adam_block<T, true> : adam_block<T, false>;
      run(end - begin, data<T>(s.value, begin), data<T>(s.grad, begin), data<T>(s.m, begin),
          data<T>(s.v, begin), data<T>(s.v_max, begin), rule, s.step);
    });
  });
}

template <class T, bool with_velocity>
void sgd_block(std::int64_t n, T* __restrict value, const T* __restrict grad,
               T* __restrict velocity, const SgdRule& rule, std::int64_t step) {
  const T scale = T(rule.grad_scale), decay = T(rule.weight_decay), rate = T(rule.learning_rate);
  // The first velocity is the gradient itself, undampened.
  const T momentum = step == 1 ? T(0) : T(rule.momentum);
  const T fresh = step == 1 ? T(1) : T(1 - rule.dampening);
  // What the value moves along: ahead * gradient + along * velocity.
  const T ahead = rule.nesterov ? T(1) : T(0);
  const T along = rule.nesterov ? T(rule.momentum) : T(1);
  for (std::int64_t i = 0; i < n; ++i) {
    T move = grad[i] * scale + decay * value[i];
    if constexpr (with_velocity) {
      velocity[i] = momentum * velocity[i] + fresh * move;
      move = ahead * move + along * velocity[i];
    }
    value[i] -= rate * move;
  }
}

void sgd_step(std::vector<SgdSlot>& slots, const SgdRule& rule) {
  const auto numel = [](const SgdSlot& slot) { return slot.value.numel(); };
  for_blocks(slots, numel, [&](SgdSlot& s, std::int64_t, std::int64_t begin, std::int64_t end) {
    dispatch_floating("sgd_step", s.value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto run = s.velocity.defined() ? sgd_block<T, true> : sgd_block<T, false>;
      run(end - begin, data<T>(s.value, begin), data<T>(s.grad, begin), data<T>(s.velocity, begin),
          rule, s.step);
    });
  });
}

// Eight sums side by side, so that the additions can be vectorised in a fixed order.
template <class T>
double block_sum_of_squares(const T* x, std::int64_t n) {
  constexpr std::int64_t lanes = 8;
  std::array<double, lanes> sums{};
  for (std::int64_t i = 0; i + lanes <= n; i += lanes)
    for (std::int64_t j = 0; j < lanes; ++j) sums[j] += double(x[i + j]) * double(x[i + j]);
  for (std::int64_t i = n / lanes * lanes; i < n; ++i) sums[0] += double(x[i]) * double(x[i]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

void sum_of_squares(const std::vector<Tensor>& tensors, Tensor& out) {
  const auto numel = [](const Tensor& t) { return t.numel(); };
  std::int64_t blocks = 0;
  for (const Tensor& t : tensors) blocks += (t.numel() + update_grain - 1) / update_grain;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  for_blocks(tensors, numel,
             [&](const Tensor& t, std::int64_t block, std::int64_t begin, std::int64_t end) {
               dispatch_floating("sum_of_squares", t.dtype(), [&](auto zero) {
                 using T = decltype(zero);
                 sums[static_cast<std::size_t>(block)] =
                     block_sum_of_squares(data<T>(t, begin), end - begin);
               });
             });
  double total = 0;
  for (const double sum : sums) total += sum;
  *output<double>(out) = total;
}

}  // namespace

void add_optim_kernels(Kernels& table) {
  table.adam_step = adam_step;
  table.sgd_step = sgd_step;
  table.sum_of_squares = sum_of_squares;
}

}  // namespace ebb::cpu
