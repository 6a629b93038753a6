#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox_rows.h>

#include <algorithm>

namespace ebb {
namespace {

// out[i] = element first + i of the row, in [0, 1); `first` is a multiple of 4.
template <class T>
void fill(const PhiloxRow& row, std::int64_t first, std::int64_t count, T* out) {
  constexpr std::int64_t a_block = 16 / sizeof(T);
  for (std::int64_t i = 0; i < count; i += a_block) {
    const PhiloxCounter words = row.block((first + i) / a_block);
    const std::int64_t n = std::min(a_block, count - i);
    for (std::int64_t j = 0; j < n; ++j) out[i + j] = uniform_number<T>(words, j);
  }
}

}  // namespace

template <class T>
void philox_uniform_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                        std::int64_t count, T* out) {
  fill(PhiloxRow(address, index), first, count, out);
}

template <class T>
void philox_normal_row(const PhiloxAddress& address, std::int64_t index, std::int64_t first,
                       std::int64_t count, T* out) {
  T buffer[philox_chunk];
  const std::int64_t padded = (count + 15) / 16 * 16;
  fill(PhiloxRow(address, index), first, padded, buffer);
  box_muller(buffer, padded);
  std::copy_n(buffer, count, out);
}

std::uint64_t philox_word(const PhiloxAddress& address, std::int64_t index, std::int64_t place) {
  return PhiloxRow::pair(PhiloxRow(address, index).block(place / 2), place % 2);
}

void philox_integers_row(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                         std::int64_t index, std::int64_t first, std::int64_t count,
                         std::int64_t* out) {
  const PhiloxRow row(address, index);
  for (std::int64_t i = first; i < first + count; ++i)
    *out++ = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) +
                                       bounded(PhiloxRow::pair(row.block(i / 2), i % 2), range));
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
