// Tensors as text, in NumPy's layout: as few digits as tell the numbers apart, at most eight behind
// the point, in columns; lines of 75; of more than 1000 elements the first and last three along
// each dimension.
//
//   std::cout << x << '\n';    fmt::print("{}\n", x);
#pragma once

#include <ebb/tensor/tensor.h>

#include <iosfwd>

namespace ebb {

std::string to_string(const Tensor& x);
std::ostream& operator<<(std::ostream& out, const Tensor& x);

}  // namespace ebb

template <>
struct fmt::formatter<ebb::Tensor> : fmt::formatter<std::string_view> {
  auto format(const ebb::Tensor& x, format_context& context) const {
    return fmt::formatter<std::string_view>::format(ebb::to_string(x), context);
  }
};
