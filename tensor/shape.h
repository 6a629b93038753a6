// Shapes: up to eight sizes, row-major (the last one varies fastest).
#pragma once

#include <ebb/tensor/error.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

class Shape {
 public:
  static constexpr std::int64_t max_rank = 8;
  // So that bytes can be counted too.
  static constexpr std::int64_t max_numel = INT64_MAX / 8;

  Shape() = default;  // rank 0: a scalar, one element
  // Sizes must be >= 0, at most eight, and their product at most max_numel; else Error.
  Shape(std::initializer_list<std::int64_t> sizes);
  explicit Shape(const std::vector<std::int64_t>& sizes);

  std::int64_t rank() const { return rank_; }
  // Size along `dim`; negative counts from the end. Out of range is an Error.
  std::int64_t operator[](std::int64_t dim) const { return sizes_[index(dim)]; }
  void set(std::int64_t dim, std::int64_t size);
  std::int64_t numel() const;
  // Row-major strides in elements.
  std::array<std::int64_t, max_rank> strides() const;

  const std::int64_t* begin() const { return sizes_.data(); }
  const std::int64_t* end() const { return sizes_.data() + rank_; }
  std::vector<std::int64_t> vector() const { return {begin(), end()}; }

  // The shape without / with one more dimension at `dim`.
  Shape without(std::int64_t dim) const;
  Shape with(std::int64_t dim, std::int64_t size) const;

  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
  std::string str() const;  // "(4, 3, 64, 64)"

 private:
  std::size_t index(std::int64_t dim) const;

  std::array<std::int64_t, max_rank> sizes_{};
  std::int64_t rank_ = 0;
};

// product *= factor for two that are not negative; false where int64 does not hold it.
constexpr bool multiply(std::int64_t& product, std::int64_t factor) {
  if (factor > 0 && product > INT64_MAX / factor) return false;
  product *= factor;
  return true;
}

// `dim` in [-rank, rank) to [0, rank); else an Error that names `operation`.
std::int64_t normalize_dim(std::string_view operation, std::int64_t dim, std::int64_t rank);

// NumPy's rule: aligned at the last dimension, sizes equal or one of them 1.
// An Error names `operation` and both shapes.
Shape broadcast_shapes(std::string_view operation, const Shape& a, const Shape& b);

}  // namespace ebb

template <>
struct fmt::formatter<ebb::Shape> : fmt::formatter<std::string_view> {
  auto format(const ebb::Shape& shape, format_context& context) const {
    return fmt::formatter<std::string_view>::format(shape.str(), context);
  }
};
