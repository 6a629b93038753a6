// Walking K strided operands side by side over one shape.
#pragma once

#include <ebb/tensor/backend/backend.h>

#include <algorithm>

namespace ebb::cpu {

using Strides = std::array<std::int64_t, Shape::max_rank>;

// The shape and strides with every pair of neighbouring dimensions merged that all operands step
// through alike. At least two dimensions are left: rows and columns.
template <int K>
class StridedIterator {
 public:
  // One more than the tensors' dimensions, before which rows stand.
  using Sizes = std::array<std::int64_t, Shape::max_rank + 1>;

  // Consecutive elements of the walk: `rows` of `columns`, operand k at offset[k], its rows and
  // columns row_step(k) and step(k) apart. `position` is the first one's place in row-major order.
  struct Piece {
    std::int64_t position, rows, columns;
    std::array<std::int64_t, K> offset;
  };

  StridedIterator(const Shape& shape, const std::array<Strides, K>& operands) {
    sizes_[0] = sizes_[1] = 1;
    if (shape.numel() == 0) return;  // nothing to walk; strides may have wrapped around
    for (std::size_t d = 0; d < static_cast<std::size_t>(shape.rank()); ++d) {
      const std::int64_t size = shape.begin()[d];
      if (size == 1) continue;
      bool merges = true;
      for (std::size_t k = 0; k < K; ++k)
        merges = merges && strides_[k][last_] == operands[k][d] * size;
      if (merges) {
        sizes_[last_] *= size;
      } else if (sizes_[last_] == 1) {
        sizes_[last_] = size;
      } else {
        sizes_[++last_] = size;
      }
      for (std::size_t k = 0; k < K; ++k) strides_[k][last_] = operands[k][d];
    }
  }

  std::int64_t step(std::size_t k) const { return strides_[k][last_]; }
  std::int64_t row_step(std::size_t k) const { return strides_[k][last_ - 1]; }

  // Calls body(piece) for the pieces that make up the elements [begin, end) in row-major order.
  template <class Body>
  void run(std::int64_t begin, std::int64_t end, const Body& body) const {
    Sizes index{};
    std::int64_t rest = begin;
    for (std::size_t d = last_ + 1; d-- > 0; rest /= sizes_[d]) index[d] = rest % sizes_[d];
    const std::int64_t width = sizes_[last_], height = sizes_[last_ - 1];
    while (begin < end) {
      Piece piece{begin, 1, std::min(end - begin, width - index[last_]), {}};
      for (std::size_t k = 0; k < K; ++k)
        for (std::size_t d = 0; d <= last_; ++d) piece.offset[k] += index[d] * strides_[k][d];
      if (piece.columns == width)
        piece.rows = std::min((end - begin) / width, height - index[last_ - 1]);
      body(piece);
      begin += piece.rows * piece.columns;
      index[last_] += piece.columns;
      if (index[last_] < width) continue;
      index[last_] = 0;
      index[last_ - 1] += piece.rows;
      for (std::size_t d = last_ - 1; d > 0 && index[d] == sizes_[d]; --d) {
        index[d] = 0;
        ++index[d - 1];
      }
    }
  }

 private:
  std::size_t last_ = 1;  // dimensions 0 .. last_ are in use
  Sizes sizes_{};
  std::array<Sizes, K> strides_{};
};

}  // namespace ebb::cpu
