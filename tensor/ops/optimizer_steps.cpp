#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/optimizer_steps.h>

namespace ebb {

namespace {

// The device of the slots, each of whose tensors must fit its value.
template <class Slot>
Device checked_device(std::string_view operation, const std::vector<Slot>& slots,
                      std::initializer_list<Tensor Slot::*> required,
                      std::initializer_list<Tensor Slot::*> optional) {
  const Device device = slots.empty() ? Device::cpu : slots.front().value.device();
  for (const Slot& slot : slots) {
    const auto check_fits = [&](const Tensor& t) {
      check(t.shape() == slot.value.shape() && t.dtype() == slot.value.dtype() &&
                t.device() == device,
            "{}: {} {} on {} beside a parameter {} {} on {}; move and convert the module before "
            "making its optimizer",
            operation, t.dtype(), t.shape(), t.device(), slot.value.dtype(), slot.value.shape(),
            device);
    };
    check(is_floating(slot.value.dtype()), "{}: a parameter is int64; only floats are trained",
          operation);
    check_fits(slot.value);
    for (const auto member : required) check_fits(slot.*member);
    for (const auto member : optional)
      if ((slot.*member).defined()) check_fits(slot.*member);
  }
  return device;
}

template <class Slot>
void bump_versions(std::vector<Slot>& slots, std::initializer_list<Tensor Slot::*> members) {
  for (Slot& slot : slots)
    for (const auto member : members)
      if ((slot.*member).defined()) (slot.*member).bump_version();
}

}  // namespace

void adam_step(std::vector<AdamSlot>& slots, const AdamRule& rule) {
  using S = AdamSlot;
  const Device device =
      checked_device<S>("adam_step", slots, {&S::grad, &S::m, &S::v}, {&S::v_max});
  use("adam_step", device, kernels(device).adam_step)(slots, rule);
  bump_versions<S>(slots, {&S::value, &S::m, &S::v, &S::v_max});
}

void sgd_step(std::vector<SgdSlot>& slots, const SgdRule& rule) {
  using S = SgdSlot;
  const Device device = checked_device<S>("sgd_step", slots, {&S::grad}, {&S::velocity});
  use("sgd_step", device, kernels(device).sgd_step)(slots, rule);
  bump_versions<S>(slots, {&S::value, &S::velocity});
}

Tensor sum_of_squares(const std::vector<Tensor>& tensors) {
  check(!tensors.empty(), "sum_of_squares: no tensors; give one or more");
  const Device device = tensors.front().device();
  for (const Tensor& t : tensors) {
    check(is_floating(t.dtype()), "sum_of_squares: needs float32 or float64, got int64");
    check(t.device() == device, "sum_of_squares: tensors on {} and {}; move them together", device,
          t.device());
  }
  Tensor out = Tensor::empty({}, DType::float64, device);
  use("sum_of_squares", device, kernels(device).sum_of_squares)(tensors, out);
  return out;
}

}  // namespace ebb
