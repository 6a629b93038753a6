// Random numbers.
//
// The default is Philox (Salmon et al. 2011), a counter-based generator: a value is a function of
// its address (seed, purpose, step, sample, element) and of nothing else. So results do not depend
// on the batch size, the number of threads, the device or a resumed run, and there is no state to
// save. Beside it stands PyTorch's CPU stream, for the tutorial and for parity.
#pragma once

#include <ebb/tensor/tensor.h>

#include <memory>

namespace ebb {

// What a number is for; part of its address, so that uses never share numbers.
enum class Purpose : std::uint32_t {
  initialization,
  data_order,
  augmentation,
  timestep,
  noise,  // training noise
  label_drop,
  start,    // x_T of a sample
  sampler,  // noise within the sampling loop
  other,
};

// Draws whose first dimension is the sample: element j of row i is a function of (seed, purpose,
// step, first_sample + i, j) alone. step < 2^44, samples < 2^48, elements of a row < 2^32.
struct PhiloxAddress {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::other;
  std::uint64_t step = 0;
  std::uint64_t first_sample = 0;
};
// Floating dtypes only. The same bits on each device, but for the last ones of float64 normals.
Tensor philox_uniform(const Shape& shape, const PhiloxAddress& address,
                      DType dtype = DType::float32, Device device = Device::cpu);  // [0, 1)
Tensor philox_normal(const Shape& shape, const PhiloxAddress& address, DType dtype = DType::float32,
                     Device device = Device::cpu);  // N(0, 1), Box-Muller
Tensor philox_integers(const Shape& shape, std::int64_t low, std::int64_t high,
                       const PhiloxAddress& address,
                       Device device = Device::cpu);  // int64 in [low, high)
// A permutation of 0..n-1, int64 (n).
Tensor philox_permutation(std::int64_t n, const PhiloxAddress& address);

// Draws one after another from one stream: parameter initialisation, the tutorial. One thread at a
// time.
class Generator {
 public:
  virtual ~Generator() = default;
  virtual Tensor rand(const Shape& shape, DType dtype = DType::float32) = 0;  // U[0, 1)
  virtual Tensor randn(const Shape& shape, DType dtype = DType::float32) = 0;
  virtual Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape) = 0;
  virtual Tensor randperm(std::int64_t n) = 0;
  // From the draws above: 1 where a float64 u < p, else 0; u (high - low) + low, rounded once, as
  // PyTorch does; z stddev + mean.
  Tensor bernoulli(double p, const Shape& shape, DType dtype = DType::float32);
  Tensor uniform(double low, double high, const Shape& shape, DType dtype = DType::float32);
  Tensor normal(double mean, double stddev, const Shape& shape, DType dtype = DType::float32);
};

// PyTorch's CPU stream after manual_seed(seed): mt19937 and the same order of draws. Uniforms and
// integers are the same bits; normals agree to a few units in the last place.
class TorchGenerator final : public Generator {
 public:
  explicit TorchGenerator(std::uint64_t seed);
  ~TorchGenerator() override;
  Tensor rand(const Shape& shape, DType dtype = DType::float32) override;
  Tensor randn(const Shape& shape, DType dtype = DType::float32) override;
  Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape) override;
  Tensor randperm(std::int64_t n) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Philox with the number of the call as the step.
class PhiloxGenerator final : public Generator {
 public:
  explicit PhiloxGenerator(std::uint64_t seed, Purpose purpose = Purpose::initialization)
      : address_{seed, purpose, 0, 0} {}
  Tensor rand(const Shape& shape, DType dtype = DType::float32) override;
  Tensor randn(const Shape& shape, DType dtype = DType::float32) override;
  Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape) override;
  Tensor randperm(std::int64_t n) override;

 private:
  PhiloxAddress next();
  PhiloxAddress address_;
};

}  // namespace ebb
