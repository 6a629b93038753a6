#include <ebb/tensor/cpu/random/box_muller.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/random/philox.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ebb {
namespace {

// Elements of a row that one task draws: a multiple of Box-Muller's block of 16.
constexpr std::int64_t chunk = 4096;

// The words of one sample's row. The whole address goes into key and counter, nothing is hashed,
// so two addresses never share a word: seed | purpose (4 bits), step (44), sample (48), block (32).
class Row {
 public:
  Row(const PhiloxAddress& address, std::int64_t index) {
    const std::uint64_t sample = address.first_sample + static_cast<std::uint64_t>(index);
    key_ = {low(address.seed), high(address.seed)};
    base_ = {0, low(sample), low(address.step),
             (static_cast<std::uint32_t>(address.purpose) << 28) | (high(address.step) << 16) |
                 high(sample)};
  }
  PhiloxCounter block(std::int64_t index) const {
    PhiloxCounter counter = base_;
    counter[0] = static_cast<std::uint32_t>(index);
    return philox4x32_10(counter, key_);
  }
  // 64-bit word `index` of the row.
  std::uint64_t word64(std::int64_t index) const { return pair(block(index / 2), index % 2); }

  static std::uint64_t pair(const PhiloxCounter& words, std::int64_t which) {
    return (std::uint64_t{words[2 * which]} << 32) | words[2 * which + 1];
  }

 private:
  static std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

  PhiloxKey key_;
  PhiloxCounter base_;
};

// The high half of word * range: an integer in [0, range), uniform but for range / 2^64.
std::uint64_t bounded(std::uint64_t word, std::uint64_t range) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(word) * range) >> 64);
}

// out[i] = element first + i of the row, in [0, 1); `first` is a multiple of 4.
void fill_uniform(const Row& row, std::int64_t first, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += 4) {
    const PhiloxCounter words = row.block((first + i) / 4);
    const std::int64_t n = std::min<std::int64_t>(4, count - i);
    for (std::int64_t j = 0; j < n; ++j) out[i + j] = static_cast<float>(words[j] >> 8) * 0x1p-24f;
  }
}
void fill_uniform(const Row& row, std::int64_t first, std::int64_t count, double* out) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const PhiloxCounter words = row.block((first + i) / 2);
    const std::int64_t n = std::min<std::int64_t>(2, count - i);
    for (std::int64_t j = 0; j < n; ++j)
      out[i + j] = static_cast<double>(Row::pair(words, j) >> 11) * 0x1p-53;
  }
}

template <class T>
void fill_normal(const Row& row, std::int64_t first, std::int64_t count, T* out) {
  T buffer[chunk];
  const std::int64_t padded = (count + 15) / 16 * 16;
  fill_uniform(row, first, padded, buffer);
  cpu::box_muller(buffer, padded);
  std::copy_n(buffer, count, out);
}

// fill(row, first, count, out) for the chunks of every row of a new tensor.
template <class T, class Fill>
Tensor fill_rows(const Shape& shape, const PhiloxAddress& address, const Fill& fill) {
  Tensor result = Tensor::empty(shape, dtype_of<T>());
  const std::int64_t rows = shape.rank() == 0 ? 1 : shape[0];
  if (result.numel() == 0) return result;
  const std::int64_t width = result.numel() / rows;
  const std::uint64_t last_sample = address.first_sample + static_cast<std::uint64_t>(rows - 1);
  check(address.step >> 44 == 0, "philox: step {} is out of range; keep below 2^44", address.step);
  check(last_sample >= address.first_sample && last_sample >> 48 == 0,
        "philox: sample {} is out of range; keep below 2^48", last_sample);
  check(width >> 32 == 0, "philox: a row of {} elements is too long; keep below 2^32", width);
  const std::int64_t chunks = (width + chunk - 1) / chunk;
  T* out = result.mutable_data<T>();
  cpu::parallel_for(rows * chunks, std::max<std::int64_t>(1, chunk / width),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t task = begin; task < end; ++task) {
                        const std::int64_t row = task / chunks;
                        const std::int64_t first = task % chunks * chunk;
                        fill(Row(address, row), first, std::min(chunk, width - first),
                             out + row * width + first);
                      }
                    });
  return result;
}

}  // namespace

Tensor philox_uniform(const Shape& shape, const PhiloxAddress& address, DType dtype) {
  return dispatch_floating("philox_uniform", dtype, [&](auto zero) {
    using T = decltype(zero);
    return fill_rows<T>(shape, address,
                        [](const Row& row, std::int64_t first, std::int64_t count, T* out) {
                          fill_uniform(row, first, count, out);
                        });
  });
}

Tensor philox_normal(const Shape& shape, const PhiloxAddress& address, DType dtype) {
  return dispatch_floating("philox_normal", dtype, [&](auto zero) {
    using T = decltype(zero);
    return fill_rows<T>(shape, address,
                        [](const Row& row, std::int64_t first, std::int64_t count, T* out) {
                          fill_normal(row, first, count, out);
                        });
  });
}

Tensor philox_integers(const Shape& shape, std::int64_t low, std::int64_t high,
                       const PhiloxAddress& address) {
  check(low < high, "philox_integers: [{}, {}) is empty; low must be below high", low, high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  return fill_rows<std::int64_t>(
      shape, address,
      [&](const Row& row, std::int64_t first, std::int64_t count, std::int64_t* out) {
        for (std::int64_t i = 0; i < count; ++i)
          out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) +
                                             bounded(row.word64(first + i), range));
      });
}

Tensor philox_permutation(std::int64_t n, const PhiloxAddress& address) {
  check(n >= 0 && n >> 32 == 0, "philox_permutation: n = {} is out of range [0, 2^32)", n);
  Tensor result = Tensor::arange(n);
  std::int64_t* order = result.mutable_data<std::int64_t>();
  const Row row(address, 0);
  for (std::int64_t i = 0; i < n - 1; ++i)
    std::swap(order[i], order[i + static_cast<std::int64_t>(
                                      bounded(row.word64(i), static_cast<std::uint64_t>(n - i)))]);
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
