#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/random/philox_rows.h>

#include <cmath>
#include <utility>

namespace ebb {

namespace {

// A new tensor whose rows an address has numbers for.
Tensor rows_for(const Shape& shape, const PhiloxAddress& address, DType dtype, Device device) {
  Tensor result = Tensor::empty(shape, dtype, device);
  if (result.numel() == 0) return result;
  const std::int64_t rows = shape.rank() == 0 ? 1 : shape[0], width = philox_width(shape);
  const std::uint64_t last_sample = address.first_sample + static_cast<std::uint64_t>(rows - 1);
  check(address.step >> 44 == 0, "philox: step {} is out of range; keep below 2^44", address.step);
  check(last_sample >= address.first_sample && last_sample >> 48 == 0,
        "philox: sample {} is out of range; keep below 2^48", last_sample);
  check(width >> 32 == 0, "philox: a row of {} elements is too long; keep below 2^32", width);
  return result;
}

void check_real(std::string_view operation, DType dtype) {
  check(is_floating(dtype), "{}: needs float32 or float64, got {}", operation, dtype);
}

}  // namespace

Tensor philox_uniform(const Shape& shape, const PhiloxAddress& address, DType dtype,
                      Device device) {
  check_real("philox_uniform", dtype);
  Tensor result = rows_for(shape, address, dtype, device);
  use("philox_uniform", device, kernels(device).philox_uniform)(address, result);
  return result;
}

Tensor philox_normal(const Shape& shape, const PhiloxAddress& address, DType dtype, Device device) {
  check_real("philox_normal", dtype);
  Tensor result = rows_for(shape, address, dtype, device);
  use("philox_normal", device, kernels(device).philox_normal)(address, result);
  return result;
}

Tensor philox_integers(const Shape& shape, std::int64_t low, std::int64_t high,
                       const PhiloxAddress& address, Device device) {
  check(low < high, "philox_integers: [{}, {}) is empty; low must be below high", low, high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  Tensor result = rows_for(shape, address, DType::int64, device);
  use("philox_integers", device, kernels(device).philox_integers)(low, range, address, result);
  return result;
}

Tensor philox_permutation(std::int64_t n, const PhiloxAddress& address) {
  check(n >= 0 && n >> 32 == 0, "philox_permutation: n = {} is out of range [0, 2^32)", n);
  Tensor result = Tensor::arange(n);
  std::int64_t* order = result.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < n - 1; ++i)
    std::swap(order[i],
              order[i + static_cast<std::int64_t>(bounded(philox_word(address, 0, i),
                                                          static_cast<std::uint64_t>(n - i)))]);
  return result;
}

Tensor Generator::uniform(double low, double high, const Shape& shape, DType dtype) {
  Tensor result = rand(shape, dtype);
  dispatch_floating("uniform", dtype, [&](auto zero) {
    using T = decltype(zero);
    const T offset = static_cast<T>(low);
    const T width = static_cast<T>(high) - offset;
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < result.numel(); ++i)
      values[i] = std::fma(values[i], width, offset);
  });
  return result;
}

Tensor Generator::normal(double mean, double stddev, const Shape& shape, DType dtype) {
  check(stddev >= 0, "normal: the standard deviation {} is negative", stddev);
  Tensor result = randn(shape, dtype);
  dispatch_floating("normal", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < result.numel(); ++i)
      values[i] = values[i] * static_cast<T>(stddev) + static_cast<T>(mean);
  });
  return result;
}

Tensor Generator::bernoulli(double p, const Shape& shape, DType dtype) {
  check(p >= 0 && p <= 1, "bernoulli: p = {} is no probability; give one in [0, 1]", p);
  const Tensor draws = rand(shape, DType::float64);
  const double* u = draws.data<double>();
  Tensor result = Tensor::empty(shape, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < result.numel(); ++i) values[i] = static_cast<T>(u[i] < p);
  });
  return result;
}

PhiloxAddress PhiloxGenerator::next() {
  const PhiloxAddress address = address_;
  ++address_.step;
  return address;
}

Tensor PhiloxGenerator::rand(const Shape& shape, DType dtype) {
  return philox_uniform(shape, next(), dtype);
}
Tensor PhiloxGenerator::randn(const Shape& shape, DType dtype) {
  return philox_normal(shape, next(), dtype);
}
Tensor PhiloxGenerator::randint(std::int64_t low, std::int64_t high, const Shape& shape) {
  return philox_integers(shape, low, high, next());
}
Tensor PhiloxGenerator::randperm(std::int64_t n) { return philox_permutation(n, next()); }

}  // namespace ebb
