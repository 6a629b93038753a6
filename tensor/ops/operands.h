// What every tensor function asks of its operands before it allocates and dispatches.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb {

struct Operands {
  Device device;
  DType dtype;
};

// The one device and dtype of `tensors`; an Error names `operation` where one is undefined or
// they differ.
inline Operands common_operands(std::string_view operation,
                                std::initializer_list<const Tensor*> tensors) {
  for (const Tensor* tensor : tensors)
    check(tensor->defined(), "{}: an operand is undefined; give it a value first", operation);
  return {common_device(operation, tensors), common_dtype(operation, tensors)};
}

// The same for a single operand.
inline void check_defined(std::string_view operation, const Tensor& x) {
  check(x.defined(), "{}: the operand is undefined; give it a value first", operation);
}

inline void check_floating(std::string_view operation, const Tensor& x) {
  check_defined(operation, x);
  check(is_floating(x.dtype()), "{}: needs float32 or float64, got int64; convert with to(DType)",
        operation);
}

inline void check_same_shape(std::string_view operation, const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), "{}: shapes {} and {} differ; reshape one of them", operation,
        a.shape(), b.shape());
}

inline Tensor empty_like(const Tensor& x) {
  return Tensor::empty(x.shape(), x.dtype(), x.device());
}

inline Tensor zeros(const Shape& shape, const Tensor& like) {
  return Tensor::zeros(shape, like.dtype(), like.device());
}

}  // namespace ebb
