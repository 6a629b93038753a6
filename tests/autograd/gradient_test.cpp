// Every operator's backward rule against central differences in float64.
#include <doctest/doctest.h>

#include "../cases.h"
#include "../devices.h"

namespace ebb::test {
namespace {

Inputs leaves(const OperatorCase& c, DType dtype, Device device, std::size_t only = SIZE_MAX) {
  Inputs result;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    result.emplace_back(c.inputs[i].to(dtype).to(device), only == SIZE_MAX || only == i);
  return result;
}

// A fixed cotangent without structure.
Tensor cotangent(const Variable& y) {
  return PhiloxGenerator(2, Purpose::other)
      .randn(y.shape(), DType::float64)
      .to(y.dtype())
      .to(y.device());
}

// d sum(f(x) g) / d x_i by central differences.
Tensor numeric_gradient(const OperatorCase& c, std::size_t i, const Tensor& g) {
  const double eps = 1e-6;
  Inputs inputs(c.inputs.begin(), c.inputs.end());
  const auto loss_at = [&](std::int64_t element, double step) {
    Tensor x = c.inputs[i].clone();
    x.mutable_data<double>()[element] += step;
    inputs[i] = x;
    return sum(c.function(inputs).value() * g).item();
  };
  Tensor result = Tensor::empty(c.inputs[i].shape(), DType::float64);
  double* const to = result.mutable_data<double>();
  for (std::int64_t e = 0; e < result.numel(); ++e)
    to[e] = (loss_at(e, eps) - loss_at(e, -eps)) / (2 * eps);
  return result;
}

// Calls f(c) for every case; an Error is a failure of that case and hides no other.
template <class F>
void for_each_case(const F& f) {
  for (const OperatorCase& c : operator_cases()) {
    CAPTURE(c.name);
    try {
      f(c);
    } catch (const Error& error) {
      FAIL_CHECK(std::string(error.what()));
    }
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         a.to_vector<double>() == b.to_vector<double>();
}

}  // namespace

TEST_CASE("gradients agree with central differences") {
  for_each_case([](const OperatorCase& c) {
    const Inputs inputs = leaves(c, DType::float64, Device::cpu);
    const Variable y = c.function(inputs);
    const Tensor g = cotangent(y);
    y.backward(g);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(i);
      REQUIRE(inputs[i].grad().defined());
      CHECK(relative_error(inputs[i].grad(), numeric_gradient(c, i, g)) < 1e-6);
    }
  });
}

TEST_CASE("a gradient is the same when the others are not wanted") {
  for_each_case([](const OperatorCase& c) {
    const Inputs all = leaves(c, DType::float64, Device::cpu);
    const Tensor g = cotangent(c.function(all));
    c.function(all).backward(g);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Inputs alone = leaves(c, DType::float64, Device::cpu, i);
      c.function(alone).backward(g);
      for (std::size_t j = 0; j < all.size(); ++j) {
        CAPTURE(j);
        if (j == i) {
          CHECK(same_bits(alone[j].grad(), all[j].grad()));
        } else {
          CHECK_FALSE(alone[j].grad().defined());
        }
      }
    }
  });
}

TEST_CASE("float32 agrees with float64") {
  for_each_case([](const OperatorCase& c) {
    const Inputs single = leaves(c, DType::float32, Device::cpu);
    const Inputs twice = leaves(c, DType::float64, Device::cpu);
    const Variable y = c.function(single), truth = c.function(twice);
    CHECK(y.dtype() == DType::float32);
    CHECK(relative_error(y.value().to(DType::float64), truth.value()) < 1e-5);
    y.backward(cotangent(y));
    truth.backward(cotangent(truth));
    for (std::size_t i = 0; i < single.size(); ++i)
      CHECK(relative_error(single[i].grad().to(DType::float64), twice[i].grad()) < 3e-5);
  });
}

TEST_CASE("operators on other devices agree with the CPU's") {
  for (const Device device : compared_devices()) {
    CAPTURE(name_of(device));
    // Of exactly their size, so that a GPU's checks see each access beyond a tensor.
    set_storage_caching(device != Device::cuda);
    for_each_case([device](const OperatorCase& c) {
      for (const DType dtype : {DType::float32, DType::float64}) {
        CAPTURE(dtype);
        const double tolerance = dtype == DType::float32 ? 1e-5 : 1e-12;
        const Inputs here = leaves(c, dtype, Device::cpu);
        const Inputs there = leaves(c, dtype, device);
        const Variable y = c.function(here), z = c.function(there);
        CHECK(z.device() == device);
        CHECK(relative_error(z.value().to(Device::cpu), y.value()) < tolerance);
        y.backward(cotangent(y));
        z.backward(cotangent(z));
        for (std::size_t i = 0; i < here.size(); ++i)
          CHECK(relative_error(there[i].grad().to(Device::cpu), here[i].grad()) < 3 * tolerance);
      }
    });
    set_storage_caching(true);
  }
}

TEST_CASE("operators reach a device's memory through kernels alone") {
  for_each_case([](const OperatorCase& c) {
    const Inputs here = leaves(c, DType::float32, Device::cpu);
    const Inputs there = leaves(c, DType::float32, Device::test);
    const Variable y = c.function(here), z = c.function(there);
    CHECK(z.device() == Device::test);
    CHECK(same_bits(y.value(), z.value()));
    y.backward(cotangent(y));
    z.backward(cotangent(z));
    for (std::size_t i = 0; i < here.size(); ++i) {
      CHECK(there[i].grad().device() == Device::test);
      CHECK(same_bits(here[i].grad(), there[i].grad()));
    }
  });
}

}  // namespace ebb::test
