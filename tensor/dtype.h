// Element types: float32 in the hot path, float64 for truth (gradient checks,
// schedules), int64 for indices.
#pragma once

#include <ebb/tensor/error.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace ebb {

enum class DType : std::uint8_t { float32, float64, int64 };

constexpr std::size_t size_of(DType dtype) { return dtype == DType::float32 ? 4 : 8; }
constexpr bool is_floating(DType dtype) { return dtype != DType::int64; }

constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::float32 ? "float32" : dtype == DType::float64 ? "float64" : "int64";
}

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                std::is_same_v<T, std::int64_t>);
  if constexpr (std::is_same_v<T, float>) return DType::float32;
  if constexpr (std::is_same_v<T, double>) return DType::float64;
  return DType::int64;
}

// Calls f(T{}) with the C++ type of `dtype`. Integers are an error that names `operation`.
template <class F>
decltype(auto) dispatch_floating(std::string_view operation, DType dtype, F&& f) {
  if (dtype == DType::float32) return f(float{});
  if (dtype == DType::float64) return f(double{});
  fail("{}: needs float32 or float64, got int64; convert with to(DType)", operation);
}

// Calls f(T{}) with the C++ type of `dtype`, integers included.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  if (dtype == DType::float32) return f(float{});
  if (dtype == DType::float64) return f(double{});
  return f(std::int64_t{});
}

}  // namespace ebb

template <>
struct fmt::formatter<ebb::DType> : fmt::formatter<std::string_view> {
  auto format(ebb::DType dtype, format_context& context) const {
    return fmt::formatter<std::string_view>::format(ebb::name_of(dtype), context);
  }
};
