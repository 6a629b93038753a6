// The table of kernels of a device. The functions of tensor/ check shapes, allocate and dispatch
// through it, and nobody else does. A kernel gets tensors on its own device, of matching dtypes
// and checked shapes, and writes `out`, which is allocated and overlaps no input. An entry that a
// device lacks is null: use() then throws an Error that names the operation and the device.
#pragma once

#include <ebb/tensor/conv.h>
#include <ebb/tensor/optim.h>
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

  // Convolutions: y from x; dx from dy, plus bias and activation (as a transposed convolution has
  // them); dw, and db where it is defined.
  void (*conv2d)(const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Conv2dOptions& options, Activation activation, Tensor& y) = nullptr;
  void (*conv2d_backward_data)(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                               const Conv2dOptions& options, Activation activation,
                               Tensor& dx) = nullptr;
  void (*conv2d_backward_weights)(const Tensor& dy, const Tensor& x, const Conv2dOptions& options,
                                  Tensor& dw, Tensor& db) = nullptr;
  void (*sum_pixels)(const Tensor& dy, Tensor& db) = nullptr;  // over all but the last dimension

  // Optimizers: one pass over all slots.
  void (*adam_step)(std::vector<AdamSlot>& slots, const AdamRule& rule) = nullptr;
  void (*sgd_step)(std::vector<SgdSlot>& slots, const SgdRule& rule) = nullptr;
  double (*sum_of_squares)(const std::vector<Tensor>& tensors) = nullptr;
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
