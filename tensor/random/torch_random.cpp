#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/random.h>

#include <cmath>
#include <numbers>
#include <optional>
#include <random>
#include <utility>

namespace ebb {

struct TorchGenerator::State {
  explicit State(std::uint64_t seed) : engine(static_cast<std::uint32_t>(seed)) {}

  std::uint32_t word() { return static_cast<std::uint32_t>(engine()); }
  std::uint64_t word64() {
    const std::uint64_t high = word();
    return (high << 32) | word();
  }
  void uniform(float& out) { out = static_cast<float>(word() & 0xFFFFFFu) * 0x1p-24f; }
  void uniform(double& out) {
    out = static_cast<double>(word64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
  }
  template <class T>
  void uniform(T* out, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) uniform(out[i]);
  }
  // One normal; the sine of the pair waits for the next call of this kind.
  double normal() {
    if (next_normal) return *std::exchange(next_normal, std::nullopt);
    double u1, u2;
    uniform(u1);
    uniform(u2);
    const double radius = std::sqrt(-2.0 * std::log1p(-u2));
    const double angle = 2.0 * std::numbers::pi * u1;
    next_normal = radius * std::sin(angle);
    return radius * std::cos(angle);
  }

  std::mt19937 engine;
  std::optional<double> next_normal;
};

TorchGenerator::TorchGenerator(std::uint64_t seed) : state_(std::make_unique<State>(seed)) {}
TorchGenerator::~TorchGenerator() = default;

Tensor TorchGenerator::rand(const Shape& shape, DType dtype) {
  Tensor result = Tensor::empty(shape, dtype);
  dispatch_floating("rand", dtype, [&](auto zero) {
    state_->uniform(result.mutable_data<decltype(zero)>(), result.numel());
  });
  return result;
}

Tensor TorchGenerator::randn(const Shape& shape, DType dtype) {
  Tensor result = Tensor::empty(shape, dtype);
  dispatch_floating("randn", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    const std::int64_t count = result.numel();
    if (count < 16) {
      for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<T>(state_->normal());
      return;
    }
    state_->uniform(values, count);
    use("randn", Device::cpu, kernels(Device::cpu).box_muller)(result);
    if (count % 16 != 0) {
      state_->uniform(values + count - 16, 16);
      box_muller(values + count - 16, 16);
    }
  });
  return result;
}

Tensor TorchGenerator::randint(std::int64_t low, std::int64_t high, const Shape& shape) {
  check(low < high, "randint: [{}, {}) is empty; low must be below high", low, high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  Tensor result = Tensor::empty(shape, DType::int64);
  std::int64_t* values = result.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    const std::uint64_t word = range >> 32 ? state_->word64() : state_->word();
    values[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + word % range);
  }
  return result;
}

Tensor TorchGenerator::randperm(std::int64_t n) {
  check(n >= 0, "randperm: n = {} is negative", n);
  Tensor result = Tensor::arange(n);
  std::int64_t* order = result.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < n - 1; ++i) std::swap(order[i], order[i + state_->word() % (n - i)]);
  return result;
}

}  // namespace ebb
