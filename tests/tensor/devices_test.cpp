// Other devices against the CPU, for what has no gradient; tests/autograd/gradient_test.cpp has the
// rest.
#include "tests/devices.h"

#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/symmetric_eigen.h>

#include <cstring>
#include <functional>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

TEST_CASE("devices: each has every kernel that the CPU has") {
  using Entry = void*;
  constexpr std::size_t count = sizeof(Kernels) / sizeof(Entry);
  const auto entries = [](const Kernels& table) {
    std::vector<Entry> result(count);
    std::memcpy(result.data(), &table, sizeof(Kernels));
    return result;
  };
  const auto fast = entries(kernels(Device::cpu));
  for (const Device device : test::compared_devices()) {
    CAPTURE(name_of(device));
    const auto there = entries(kernels(device));
    for (std::size_t i = 0; i < count; ++i) {
      CAPTURE(i);
      if (fast[i] != nullptr) CHECK(there[i] != nullptr);
    }
  }
}

struct DeviceRow {
  const char* name;
  std::function<Tensor(const Tensor&)> apply;  // of (6, 5, 7)
  bool exact = true;
};

TEST_CASE("devices: functions without a gradient are the CPU's") {
  const std::vector<DeviceRow> rows{
      {"to int64 and back",
       [](const Tensor& x) { return mul(x, 50).to(DType::int64).to(x.dtype()); }},
      {"less", [](const Tensor& x) { return less(x, flip(x, {0})); }},
      {"less_equal", [](const Tensor& x) { return less_equal(x, flip(x, {0})); }},
      {"equal", [](const Tensor& x) { return equal(x, flip(x, {0})); }},
      {"greater", [](const Tensor& x) { return greater(x, flip(x, {0})); }},
      {"greater_equal", [](const Tensor& x) { return greater_equal(x, flip(x, {0})); }},
      {"not_equal", [](const Tensor& x) { return not_equal(x, slice(x, 1, 0, 1)); }},
      {"int64",
       [](const Tensor& x) {
         const Tensor i = mul(x, 9).to(DType::int64);
         return sum(square(neg(i)) - mul(abs(i), i) + maximum(i, relu(i)), {1});
       }},
      {"argmax", [](const Tensor& x) { return argmax(x, 1); }},
      {"argsort", [](const Tensor& x) { return argsort(x, 1); }},
      {"sort", [](const Tensor& x) { return sort(x, 0); }},
      {"quantile", [](const Tensor& x) { return quantile(x, 0.3, 2); }, false},
      {"cumsum of int64", [](const Tensor& x) { return cumsum(mul(x, 9).to(DType::int64), 1); }},
      {"in place",
       [](const Tensor& x) {
         Tensor y = x.clone();
         add_(y, x, 0.5);
         mul_(y, 3);
         return y.fill_(0.25) + x;
       }},
      {"philox_uniform",
       [](const Tensor& x) {
         return philox_uniform({3, 5000}, {1, Purpose::noise, 7, 2}, x.dtype(), x.device());
       }},
      {"philox_normal",
       [](const Tensor& x) {
         return philox_normal({3, 5000}, {1, Purpose::noise, 7, 2}, x.dtype(), x.device());
       }},
      {"philox_integers", [](const Tensor& x) {
         return philox_integers({3, 50}, -4, INT64_MAX, {1}, x.device());
       }}};
  for (const Device device : test::compared_devices())
    for (const DType dtype : {DType::float32, DType::float64}) {
      const Tensor x = numbers({6, 5, 7}, dtype);
      for (const DeviceRow& row : rows) {
        CAPTURE(name_of(device));
        CAPTURE(std::string(row.name));
        const Tensor y = row.apply(x.to(device));
        CHECK(y.device() == device);
        const Tensor want = row.apply(x), got = y.to(Device::cpu);
        CHECK(got.dtype() == want.dtype());
        CHECK(relative_error(got, want) <= (row.exact ? 0 : 1e-7));
      }
    }
}

TEST_CASE("devices: eigenvalues and vectors of a symmetric matrix") {
  for (const std::int64_t n : {1, 2, 9, 40}) {
    CAPTURE(n);
    const Tensor x = numbers({n, n}, DType::float64);
    const Tensor a = matmul(x, transpose(x, 0, 1)) - x - transpose(x, 0, 1);
    const Eigen want = symmetric_eigen(a);
    for (const Device device : test::compared_devices()) {
      CAPTURE(name_of(device));
      const Eigen got = symmetric_eigen(a.to(device));
      CHECK(relative_error(got.values.to(Device::cpu), want.values) < 1e-13);
      const Tensor v = got.vectors.to(Device::cpu);
      CHECK(relative_error(matmul(a, v), v * want.values) < 1e-12);
    }
  }
}

// Three steps of one parameter of `device` and of the CPU's; what the rule changes.
template <class Slot, class Rule>
void check_steps(Device device, void (*step)(std::vector<Slot>&, const Rule&), const Rule& rule,
                 const std::function<Slot(Device)>& make, const std::vector<Tensor Slot::*>& parts,
                 DType dtype) {
  Slot here = make(Device::cpu), there = make(device);
  for (std::int64_t i = 1; i <= 3; ++i)
    for (Slot* slot : {&here, &there}) {
      slot->step = i;
      std::vector<Slot> slots{*slot};
      step(slots, rule);
    }
  for (const auto part : parts)
    if ((here.*part).defined())
      CHECK(relative_error((there.*part).to(Device::cpu), here.*part) <
            (dtype == DType::float32 ? 1e-6 : 1e-15));
}

TEST_CASE("devices: optimizers step as on the CPU") {
  for (const Device device : test::compared_devices())
    for (const DType dtype : {DType::float32, DType::float64})
      for (const bool extra : {false, true}) {
        CAPTURE(extra);
        CAPTURE(name_of(device));
        const auto part = [=](Device on, std::int64_t seed) {
          return abs(numbers({37}, dtype, seed)).to(on);
        };
        const std::function<AdamSlot(Device)> adam = [&](Device d) {
          return AdamSlot{part(d, 3), part(d, 5), part(d, 7), part(d, 11),
                          extra ? part(d, 13) : Tensor()};
        };
        check_steps<AdamSlot, AdamRule>(
            device, adam_step, {0.1, 0.9, 0.99, 1e-8, 0.05, extra, 0.7}, adam,
            {&AdamSlot::value, &AdamSlot::m, &AdamSlot::v, &AdamSlot::v_max}, dtype);
        const std::function<SgdSlot(Device)> sgd = [&](Device d) {
          return SgdSlot{part(d, 3), part(d, 5), extra ? part(d, 7) : Tensor()};
        };
        check_steps<SgdSlot, SgdRule>(device, sgd_step,
                                      {0.1, 0.9, extra ? 0.0 : 0.2, 0.05, extra, 0.7}, sgd,
                                      {&SgdSlot::value, &SgdSlot::velocity}, dtype);
        const double want = sum_of_squares({part(Device::cpu, 3), part(Device::cpu, 5)}).item();
        CHECK(sum_of_squares({part(device, 3), part(device, 5)}).item() ==
              doctest::Approx(want).epsilon(1e-12));
      }
}

}  // namespace
}  // namespace ebb
