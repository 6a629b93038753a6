#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox.h>
#include <ebb/tensor/random/philox_rows.h>

#include <algorithm>

namespace ebb {
namespace {

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

// out[i] = element first + i of the row, in [0, 1); `first` is a multiple of 4.
void fill(const Row& row, std::int64_t first, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += 4) {
    const PhiloxCounter words = row.block((first + i) / 4);
    const std::int64_t n = std::min<std::int64_t>(4, count - i);
    for (std::int64_t j = 0; j < n; ++j) out[i + j] = static_cast<float>(words[j] >> 8) * 0x1p-24f;
  }
}
void fill(const Row& row, std::int64_t first, std::int64_t count, double* out) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const PhiloxCounter words = row.block((first + i) / 2);
    const std::int64_t n = std::min<std::int64_t>(2, count - i);
    for (std::int64_t j = 0; j < n; ++j)
      out[i + j] = static_cast<double>(Row::pair(words, j) >> 11) * 0x1p-53;
  }
}

}  // namespace

template <class T>
void philox_uniform_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                        std::int64_t count, T* out) {
  fill(Row(address, index), first, count, out);
}

template <class T>
void philox_normal_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                       std::int64_t count, T* out) {
  T buffer[philox_chunk];
  const std::int64_t padded = (count + 15) / 16 * 16;
  fill(Row(address, index), first, padded, buffer);
  box_muller(buffer, padded);
  std::copy_n(buffer, count, out);
}

// The high half of word * range: an integer in [0, range), uniform but for range / 2^64.
std::uint64_t bounded(std::uint64_t word, std::uint64_t range) {
  const std::uint64_t low = word & 0xffffffffu, high = word >> 32;
  const std::uint64_t range_low = range & 0xffffffffu, range_high = range >> 32;
  const std::uint64_t middle = high * range_low + ((low * range_low) >> 32);
  const std::uint64_t other = low * range_high + (middle & 0xffffffffu);
  return high * range_high + (middle >> 32) + (other >> 32);
}

std::uint64_t philox_word(const PhiloxAddress& address, std::int64_t index, std::int64_t place) {
  return Row(address, index).word64(place);
}

void philox_integers_row(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                         std::int64_t index, std::int64_t first, std::int64_t count,
                         std::int64_t* out) {
  const Row row(address, index);
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) +
                                       bounded(row.word64(first + i), range));
}

#define EBB_INSTANTIATE(T)                                                                         \
  template void philox_uniform_row(const PhiloxAddress&, std::int64_t, std::int64_t, std::int64_t, \
                                   T*);                                                            \
  template void philox_normal_row(const PhiloxAddress&, std::int64_t, std::int64_t, std::int64_t,  \
                                  T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

}  // namespace ebb
