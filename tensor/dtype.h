// Element types: float32 in the hot path, float64 for truth (gradient checks,
// schedules), int64 for indices.
#pragma once

#include <ebb/tensor/error.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace ebb {

// _(name, C++ type). All that depends on a dtype derives from this list: code that a new one does
// not fit fails to compile.
#define EBB_DTYPE_LIST(_) \
  _(float32, float)       \
  _(float64, double)      \
  _(int64, std::int64_t)

enum class DType : std::uint8_t {
#define EBB_ENUM(name, type) name,
  EBB_DTYPE_LIST(EBB_ENUM)
#undef EBB_ENUM
};

template <class T>
constexpr DType dtype_of() {
#define EBB_CASE(name, type)             \
  if constexpr (std::is_same_v<T, type>) \
    return DType::name;                  \
  else
  EBB_DTYPE_LIST(EBB_CASE)
#undef EBB_CASE
  static_assert(!sizeof(T), "no dtype has elements of this type");
}

// Calls f(T{}) with the C++ type of `dtype`; all of them must return the same type.
template <class F>
constexpr decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
#define EBB_CASE(name, type) \
  case DType::name:          \
    return f(type{});
    EBB_DTYPE_LIST(EBB_CASE)
#undef EBB_CASE
  }
  fail("dtype: {} is none", static_cast<int>(dtype));
}

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
#define EBB_CASE(name, type) \
  case DType::name:          \
    return #name;
    EBB_DTYPE_LIST(EBB_CASE)
#undef EBB_CASE
  }
  return "no dtype";
}

constexpr std::size_t size_of(DType dtype) {
  return dispatch_all(dtype, [](auto zero) { return sizeof(zero); });
}
constexpr bool is_floating(DType dtype) {
  return dispatch_all(dtype, [](auto zero) { return std::is_floating_point_v<decltype(zero)>; });
}

// The same for floating types. Others are an error that names `operation`.
template <class F>
decltype(auto) dispatch_floating(std::string_view operation, DType dtype, F&& f) {
  using Result = decltype(f(float{}));
  return dispatch_all(dtype, [&](auto zero) -> Result {
    if constexpr (std::is_floating_point_v<decltype(zero)>) return f(zero);
    fail("{}: needs float32 or float64, got {}; convert with to(DType)", operation, name_of(dtype));
  });
}

}  // namespace ebb

template <>
struct fmt::formatter<ebb::DType> : fmt::formatter<std::string_view> {
  auto format(ebb::DType dtype, format_context& context) const {
    return fmt::formatter<std::string_view>::format(ebb::name_of(dtype), context);
  }
};
