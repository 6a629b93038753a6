// Conversion between element types.
#pragma once

#include <ebb/tensor/cuda/host_device.h>

#include <cstdint>
#include <limits>
#include <type_traits>

namespace ebb {

// Values that an integer cannot hold become the nearest it can; NaN becomes 0.
template <class To, class From>
EBB_HOST_DEVICE To convert(From value) {
  if constexpr (std::is_same_v<To, std::int64_t> && std::is_floating_point_v<From>) {
    if (value != value) return 0;
    constexpr From limit = From(9223372036854775808.0);
    if (value >= limit) return std::numeric_limits<To>::max();
    if (value < -limit) return std::numeric_limits<To>::min();
  }
  return static_cast<To>(value);
}

}  // namespace ebb
