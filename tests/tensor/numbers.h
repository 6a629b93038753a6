// Inputs for the tests of tensor functions.
#pragma once

#include <ebb/tensor/ops/pointwise.h>

namespace ebb {

inline std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

// sin(0.37 (i + shift)^2): irregular values in [-1, 1].
inline Tensor numbers(const Shape& shape, DType dtype = DType::float32, double shift = 1) {
  const Tensor i = add(Tensor::arange(shape.numel(), DType::float64), shift);
  return sin(mul(square(i), 0.37)).reshape(shape).to(dtype);
}

}  // namespace ebb
