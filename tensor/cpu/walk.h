// Walking K strided operands side by side over one shape, dense in the last.
#pragma once

#include <ebb/tensor/kernels.h>

namespace ebb::cpu {

using Strides = std::array<std::int64_t, Shape::max_rank>;

// The strides of a contiguous tensor of `shape` read as if broadcast to `out`.
inline Strides broadcast_strides(const Shape& shape, const Shape& out) {
  Strides result{};
  const Strides own = shape.strides();
  const std::int64_t ahead = out.rank() - shape.rank();
  for (std::int64_t d = 0; d < shape.rank(); ++d) result[ahead + d] = shape[d] == 1 ? 0 : own[d];
  return result;
}

// The shape and strides with every pair of neighbouring dimensions merged that all operands step
// through alike; at least one dimension is left.
template <int K>
struct Walk {
  std::int64_t rank = 1;
  Strides sizes{};
  std::array<Strides, K> strides{};

  Walk(const Shape& shape, const std::array<Strides, K>& operands) {
    sizes[0] = 1;
    for (std::int64_t d = 0; d < shape.rank(); ++d) {
      if (shape[d] == 1) continue;
      bool merges = true;
      for (int k = 0; k < K; ++k)
        merges = merges && strides[k][rank - 1] == operands[k][d] * shape[d];
      if (merges || sizes[rank - 1] == 1) {
        sizes[rank - 1] *= shape[d];
      } else {
        sizes[rank++] = shape[d];
      }
      for (int k = 0; k < K; ++k) strides[k][rank - 1] = operands[k][d];
    }
  }

  std::int64_t step(int k) const { return strides[k][rank - 1]; }

  // Calls segment(offsets, position, count) for the pieces of the last dimension that make up
  // the elements [begin, end) in row-major order: `position` is the first one's place in that
  // order, offsets[k] its place in operand k, whose following ones are step(k) apart.
  template <class Segment>
  void run(std::int64_t begin, std::int64_t end, const Segment& segment) const {
    Strides index{};
    std::array<std::int64_t, K> offsets{};
    std::int64_t rest = begin;
    for (std::int64_t d = rank - 1; d >= 0; --d) {
      index[d] = rest % sizes[d];
      rest /= sizes[d];
      for (int k = 0; k < K; ++k) offsets[k] += index[d] * strides[k][d];
    }
    const std::int64_t last = rank - 1;
    while (begin < end) {
      const std::int64_t count = std::min(end - begin, sizes[last] - index[last]);
      segment(offsets, begin, count);
      begin += count;
      index[last] += count;
      for (int k = 0; k < K; ++k) offsets[k] += count * strides[k][last];
      for (std::int64_t d = last; d > 0 && index[d] == sizes[d]; --d) {
        for (int k = 0; k < K; ++k) offsets[k] += strides[k][d - 1] - index[d] * strides[k][d];
        index[d] = 0;
        ++index[d - 1];
      }
    }
  }
};

template <class T>
const T* input(const Tensor& x) {
  return static_cast<const T*>(x.raw());
}
template <class T>
T* output(Tensor& x) {
  return static_cast<T*>(x.raw());
}

}  // namespace ebb::cpu
