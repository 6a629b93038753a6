#include <ebb/tensor/shape.h>

#include <algorithm>

namespace ebb {

namespace {

std::int64_t checked_numel(const std::int64_t* sizes, std::int64_t rank) {
  std::int64_t count = 1;
  bool overflow = false;
  // A zero anywhere makes the count zero, however large the other sizes are.
  if (std::find(sizes, sizes + rank, 0) != sizes + rank) return 0;
  for (std::int64_t i = 0; i < rank; ++i) overflow |= !multiply(count, sizes[i]);
  // Eight bytes an element must be countable too.
  overflow |= count > Shape::max_numel;
  return overflow ? -1 : count;
}

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::vector<std::int64_t>(sizes)) {}

Shape::Shape(const std::vector<std::int64_t>& sizes) {
  check(static_cast<std::int64_t>(sizes.size()) <= max_rank,
        "shape: {} dimensions, at most {} are supported; merge some", sizes.size(), max_rank);
  rank_ = static_cast<std::int64_t>(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    check(sizes[i] >= 0, "shape: size {} of dimension {} is negative; sizes are 0 or more",
          sizes[i], i);
    sizes_[i] = sizes[i];
  }
  check(checked_numel(sizes_.data(), rank_) >= 0,
        "shape: {} has more elements than memory can address; use smaller sizes", str());
}

std::size_t Shape::index(std::int64_t dim) const {
  return static_cast<std::size_t>(normalize_dim("shape", dim, rank_));
}

void Shape::set(std::int64_t dim, std::int64_t size) {
  Shape changed = *this;
  changed.sizes_[index(dim)] = size;
  *this = Shape(changed.vector());
}

std::int64_t Shape::numel() const { return checked_numel(sizes_.data(), rank_); }

std::array<std::int64_t, Shape::max_rank> Shape::strides() const {
  std::array<std::int64_t, max_rank> result{};
  std::uint64_t step = 1;  // beside a size of 0 it may wrap around
  for (std::int64_t i = rank_; i-- > 0;) {
    result[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(step);
    step *= static_cast<std::uint64_t>(sizes_[static_cast<std::size_t>(i)]);
  }
  return result;
}

Shape Shape::without(std::int64_t dim) const {
  std::vector<std::int64_t> sizes = vector();
  sizes.erase(sizes.begin() + normalize_dim("shape", dim, rank_));
  return Shape(sizes);
}

Shape Shape::with(std::int64_t dim, std::int64_t size) const {
  std::vector<std::int64_t> sizes = vector();
  sizes.insert(sizes.begin() + normalize_dim("shape", dim, rank_ + 1), size);
  return Shape(sizes);
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string Shape::str() const {
  return fmt::format("({}{})", fmt::join(begin(), end(), ", "), rank_ == 1 ? "," : "");
}

std::int64_t normalize_dim(std::string_view operation, std::int64_t dim, std::int64_t rank) {
  check(dim >= -rank && dim < rank, "{}: dimension {} is not in [{}, {}) of a tensor of rank {}",
        operation, dim, -rank, rank, rank);
  return dim < 0 ? dim + rank : dim;
}

Shape broadcast_shapes(std::string_view operation, const Shape& a, const Shape& b) {
  const std::int64_t rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(rank));
  for (std::int64_t i = 1; i <= rank; ++i) {
    const std::int64_t m = i <= a.rank() ? a[-i] : 1;
    const std::int64_t n = i <= b.rank() ? b[-i] : 1;
    check(m == n || m == 1 || n == 1,
          "{}: shapes {} and {} do not broadcast: sizes {} and {} differ and neither is 1; "
          "reshape one of them",
          operation, a, b, m, n);
    sizes[static_cast<std::size_t>(rank - i)] = m == 1 ? n : m;
  }
  return Shape(sizes);
}

}  // namespace ebb
