// Optimizer steps and sums of squares on the emulated GPU: many tensors in a call.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/optimizer_steps.h>

#include <functional>

#include "tests/cuda_emulation/emulation.h"
#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// 72 slots of sizes that a block does not reach, fills and crosses; every fifth one float64.
constexpr std::int64_t slot_sizes[] = {0, 1, 37, 5000, 256, 4096};
constexpr std::int64_t slots_of_a_call = 72;

template <class Slot>
std::vector<Slot> make_slots(const std::function<Slot(const Tensor&)>& make) {
  std::vector<Slot> result;
  for (std::int64_t i = 0; i < slots_of_a_call; ++i) {
    const DType dtype = i % 5 == 4 ? DType::float64 : DType::float32;
    result.push_back(make(abs(numbers({slot_sizes[i % 6]}, dtype, double(i)))));
  }
  return result;
}

// Three steps of all slots on both devices.
template <class Slot, class Rule>
void check_many_steps(void (*step)(std::vector<Slot>&, const Rule&), const Rule& rule,
                      const std::vector<Tensor Slot::*>& parts,
                      const std::function<Slot(const Tensor&)>& make) {
  std::vector<Slot> here = make_slots<Slot>(make), there = here;
  for (Slot& slot : there)
    for (const auto part : parts)
      if ((slot.*part).defined()) slot.*part = (slot.*part).to(Device::cuda);
  for (std::int64_t i = 1; i <= 3; ++i)
    for (auto* slots : {&here, &there}) {
      for (std::size_t s = 0; s < slots->size(); ++s)
        (*slots)[s].step = i + static_cast<std::int64_t>(s % 2);
      step(*slots, rule);
    }
  for (std::size_t s = 0; s < here.size(); ++s)
    for (const auto part : parts) {
      CAPTURE(s);
      const Tensor want = here[s].*part;
      if (!want.defined() || want.numel() == 0) continue;
      const Tensor got = (there[s].*part).to(Device::cpu);
      CHECK(relative_error(got, want) < (want.dtype() == DType::float32 ? 1e-6 : 1e-14));
    }
}

TEST_CASE("cuda: Adam's steps are the CPU's") {
  for (const bool largest : {false, true})
    for (const bool decoupled : {false, true}) {
      CAPTURE(largest);
      CAPTURE(decoupled);
      check_many_steps<AdamSlot, AdamRule>(
          adam_step, {0.1, 0.9, 0.99, 1e-8, 0.05, decoupled, 0.7},
          {&AdamSlot::value, &AdamSlot::grad, &AdamSlot::m, &AdamSlot::v, &AdamSlot::v_max},
          [&](const Tensor& x) {
            return AdamSlot{x.clone(), mul(x, -0.5), mul(x, 0.3), square(x),
                            largest ? mul(x, 0.2) : Tensor()};
          });
    }
}

TEST_CASE("cuda: SGD's steps are the CPU's") {
  for (const bool velocity : {false, true})
    for (const bool nesterov : {false, true}) {
      CAPTURE(velocity);
      CAPTURE(nesterov);
      check_many_steps<SgdSlot, SgdRule>(
          sgd_step, {0.1, 0.9, nesterov ? 0.0 : 0.2, 0.05, nesterov, 0.7},
          {&SgdSlot::value, &SgdSlot::grad, &SgdSlot::velocity}, [&](const Tensor& x) {
            return SgdSlot{x.clone(), mul(x, -0.5), velocity ? mul(x, 0.3) : Tensor()};
          });
    }
}

TEST_CASE("cuda: 72 parameters take two launches") {
  std::vector<SgdSlot> slots;
  for (std::int64_t i = 0; i < slots_of_a_call; ++i)
    slots.push_back({Tensor::ones({slot_sizes[1 + i % 5]}, DType::float32, Device::cuda),
                     Tensor::ones({slot_sizes[1 + i % 5]}, DType::float32, Device::cuda),
                     Tensor()});
  const auto before = emulation::counts();
  sgd_step(slots, {0.5, 0, 0, 0, false});
  const auto after = emulation::counts();
  CHECK(after.launches - before.launches <= 2);
  CHECK(after.to_device == before.to_device);
  CHECK(after.synchronizations == before.synchronizations);
  for (const SgdSlot& slot : slots) CHECK(values(slot.value.to(Device::cpu)).back() == 0.5);
}

TEST_CASE("cuda: sums of squares are the CPU's, the same bits each time") {
  std::vector<Tensor> here, there;
  for (std::int64_t i = 0; i < 300; ++i) {
    here.push_back(
        numbers({slot_sizes[i % 6]}, i % 7 == 3 ? DType::float64 : DType::float32, double(i)));
    there.push_back(here.back().to(Device::cuda));
  }
  const double want = sum_of_squares(here).item(), got = sum_of_squares(there).item();
  CHECK(got == doctest::Approx(want).epsilon(1e-12));
  CHECK(sum_of_squares(there).item() == got);
  CHECK(sum_of_squares({Tensor::empty({0}, DType::float32, Device::cuda)}).item() == 0);
  CHECK(std::isnan(
      sum_of_squares({there[1], Tensor::full({300}, NAN, DType::float32, Device::cuda)}).item()));
}

}  // namespace
}  // namespace ebb
