// A walk over a shape in row-major order, and where its elements are in a tensor that it sees by
// strides: View and Shape in a form that travels to a kernel.
#pragma once

#include <cuda_runtime.h>
#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/backend/geometry.h>

#include <cstdint>

namespace ebb::cuda {

struct Walk {
  int rank = 0;
  std::int64_t sizes[Shape::max_rank] = {};
};
struct Strides {
  std::int64_t offset = 0;
  std::int64_t of[Shape::max_rank] = {};
};

inline Walk walk_over(const Shape& shape) {
  Walk walk;
  for (const std::int64_t size : shape) walk.sizes[walk.rank++] = size;
  return walk;
}
inline Strides strides_of(const View& view) {
  Strides strides{view.offset};
  for (std::size_t d = 0; d < view.strides.size(); ++d) strides.of[d] = view.strides[d];
  return strides;
}

// Of element `i` of the walk.
__device__ inline std::int64_t place(const Strides& strides, const Walk& walk, std::int64_t i) {
  std::int64_t result = strides.offset;
  // A known number of turns keeps the parameters out of a thread's own memory.
  for (int d = Shape::max_rank - 1; d >= 0; --d)
    if (d < walk.rank) {
      result += i % walk.sizes[d] * strides.of[d];
      i /= walk.sizes[d];
    }
  return result;
}

// What OperandElements is on the host: a tensor, or one number for all elements.
template <class T>
struct Source {
  const T* data;  // null: the number
  T number;
  bool same;  // element i of the walk is element i of the tensor
  Strides strides;

  __device__ T at(const Walk& walk, std::int64_t i) const {
    return data == nullptr ? number : data[same ? i : place(strides, walk, i)];
  }
};

template <class T>
Source<T> source_of(const Operand& operand, const Tensor& out) {
  if (operand.tensor == nullptr) return {nullptr, convert<T>(operand.number), false, {}};
  return {static_cast<const T*>(operand.tensor->raw()), T(0),
          operand.tensor->shape() == out.shape(),
          strides_of(broadcast_view(operand.tensor->shape(), out.shape()))};
}

}  // namespace ebb::cuda
