// A piece of one sample's row of random numbers: what the kernels of each device call.
#pragma once

#include <ebb/tensor/cuda/host_device.h>
#include <ebb/tensor/random/philox.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>

namespace ebb {

// Elements of a row that one call draws at most: a multiple of Box-Muller's block of 16.
constexpr std::int64_t philox_chunk = 4096;

// out[i] = element first + i of row `index`, i < count. `first` is a multiple of philox_chunk.
template <class T>
void philox_uniform_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                        std::int64_t count, T* out);
template <class T>
void philox_normal_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                       std::int64_t count, T* out);
// In [low, low + range).
void philox_integers_row(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                         std::int64_t index, std::int64_t first, std::int64_t count,
                         std::int64_t* out);

// 64-bit word `place` of a row.
std::uint64_t philox_word(const PhiloxAddress& address, std::int64_t index, std::int64_t place);

// The words of one sample's row. The whole address goes into key and counter, nothing is hashed,
// so two addresses never share a word: seed | purpose (4 bits), step (44), sample (48), block (32).
class PhiloxRow {
 public:
  EBB_HOST_DEVICE PhiloxRow(const PhiloxAddress& address, std::int64_t index) {
    using Word = std::uint32_t;
    const std::uint64_t step = address.step, seed = address.seed;
    const std::uint64_t sample = address.first_sample + static_cast<std::uint64_t>(index);
    key_ = {Word(seed), Word(seed >> 32)};
    base_ = {0, Word(sample), Word(step),
             (Word(address.purpose) << 28) | (Word(step >> 32) << 16) | Word(sample >> 32)};
  }
  EBB_HOST_DEVICE PhiloxCounter block(std::int64_t index) const {
    PhiloxCounter counter = base_;
    counter[0] = static_cast<std::uint32_t>(index);
    return philox4x32_10(counter, key_);
  }
  // Of a block's two 64-bit words; place 2 b + `which` of the row is in block b.
  EBB_HOST_DEVICE static std::uint64_t pair(const PhiloxCounter& words, std::int64_t which) {
    return (std::uint64_t{words[2 * which]} << 32) | words[2 * which + 1];
  }

 private:
  PhiloxKey key_;
  PhiloxCounter base_;
};

// Of the 16 / sizeof(T) numbers in [0, 1) that a block makes.
template <class T>
EBB_HOST_DEVICE T uniform_number(const PhiloxCounter& words, std::int64_t which) {
  if constexpr (sizeof(T) == 4) return static_cast<T>(words[which] >> 8) * T(0x1p-24);
  return static_cast<T>(PhiloxRow::pair(words, which) >> 11) * T(0x1p-53);
}

// The high half of word * range: an integer in [0, range), uniform but for range / 2^64.
EBB_HOST_DEVICE inline std::uint64_t bounded(std::uint64_t word, std::uint64_t range) {
  const std::uint64_t low = word & 0xffffffffu, high = word >> 32;
  const std::uint64_t range_low = range & 0xffffffffu, range_high = range >> 32;
  const std::uint64_t middle = high * range_low + ((low * range_low) >> 32);
  const std::uint64_t other = low * range_high + (middle & 0xffffffffu);
  return high * range_high + (middle >> 32) + (other >> 32);
}

// Calls body(row, first, count, place in the tensor) for the chunks [begin, end) of the rows of
// `shape`; their number is philox_chunks(shape).
inline std::int64_t philox_width(const Shape& shape) {
  return shape.rank() == 0 || shape.numel() == 0 ? 1 : shape.numel() / shape[0];
}
inline std::int64_t philox_chunks(const Shape& shape) {
  const std::int64_t width = philox_width(shape);
  return shape.numel() / width * ((width + philox_chunk - 1) / philox_chunk);
}
template <class Body>
void for_philox_chunks(const Shape& shape, std::int64_t begin, std::int64_t end, const Body& body) {
  const std::int64_t width = philox_width(shape);
  const std::int64_t a_row = (width + philox_chunk - 1) / philox_chunk;
  for (std::int64_t chunk = begin; chunk < end; ++chunk) {
    const std::int64_t row = chunk / a_row, first = chunk % a_row * philox_chunk;
    body(row, first, std::min(philox_chunk, width - first), row * width + first);
  }
}

}  // namespace ebb
