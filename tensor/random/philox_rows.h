// A piece of one sample's row of random numbers: what the kernels of each device call.
#pragma once

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

// 64-bit word `place` of a row, and a word as an integer in [0, range).
std::uint64_t philox_word(const PhiloxAddress& address, std::int64_t index, std::int64_t place);
std::uint64_t bounded(std::uint64_t word, std::uint64_t range);

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
