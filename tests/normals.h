// Standard normals as test data, a function of shape and seed.
#pragma once

#include <ebb/tensor/random/random.h>

namespace ebb::test {

inline Tensor normals(const Shape& shape, std::uint64_t seed, DType dtype = DType::float64) {
  return philox_normal(shape, {seed, Purpose::other, 0, 0}, dtype);
}

}  // namespace ebb::test
