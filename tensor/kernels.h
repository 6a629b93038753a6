// The table of kernels of a device. The functions of tensor/ check shapes, allocate and dispatch
// through it, and nobody else does. A kernel gets tensors on its own device, of matching dtypes
// and checked shapes, and writes `out`, which is allocated and overlaps no input. An entry that a
// device lacks is null: use() then throws an Error that names the operation and the device.
#pragma once

#include <ebb/tensor/conv.h>
#include <ebb/tensor/pointwise.h>
#include <ebb/tensor/pool.h>
#include <ebb/tensor/reduce.h>
#include <ebb/tensor/tensor.h>

namespace ebb {

struct Kernels {
  // Memory. `upload` and `download` copy from and to the host, `copy` within the device.
  void* (*allocate)(std::size_t bytes) = nullptr;
  void (*release)(void* memory) = nullptr;
  void (*upload)(void* device, const void* host, std::size_t bytes) = nullptr;
  void (*download)(void* host, const void* device, std::size_t bytes) = nullptr;
  void (*copy)(void* to, const void* from, std::size_t bytes) = nullptr;

  // Pointwise.
  void (*fill)(Tensor& out, double value) = nullptr;
  void (*cast)(const Tensor& x, Tensor& out) = nullptr;
};

// The table of `device`; an Error says how to get it where it is not linked in.
const Kernels& kernels(Device device);

// `entry` itself, or an Error where the device lacks it.
//   use("softmax", device, kernels(device).softmax)(x, y);
template <class Function>
Function* use(std::string_view operation, Device device, Function* entry) {
  check(entry != nullptr, "{}: device {} has no kernel for it; move the operands to cpu",
        operation, device);
  return entry;
}

namespace cpu {
const Kernels& kernels();
}
namespace cuda {
bool present();
const Kernels& kernels();
}

}  // namespace ebb
