// Small tables that kernels read, brought to the device once and kept by their content: the same
// table again costs no copy.
#pragma once

#include <ebb/tensor/tensor.h>

#include <cstddef>
#include <vector>

namespace ebb::cuda {

// On the current device. The address holds for kernels that are launched before the next call.
const void* constant_bytes(const void* values, std::size_t bytes);

template <class T>
const T* constants(const std::vector<T>& values) {
  return static_cast<const T*>(constant_bytes(values.data(), values.size() * sizeof(T)));
}

}  // namespace ebb::cuda
