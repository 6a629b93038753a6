// A column of a tensor seen as (outer, n, inner): n elements, `inner` apart.
#pragma once

#include <cuda_runtime.h>
#include <ebb/tensor/backend/geometry.h>

#include <cstdint>
#include <type_traits>

namespace ebb::cuda {

// Where column i of outer x inner begins.
__device__ inline std::int64_t first_of(std::int64_t i, const AxisView& along) {
  return i / along.inner * along.n * along.inner + i % along.inner;
}

// Sums run in float64, those of integers wrap around.
template <class T>
using Running = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;

}  // namespace ebb::cuda
