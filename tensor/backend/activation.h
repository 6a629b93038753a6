// The activations that kernels fuse into their outputs.
#pragma once

#include <ebb/tensor/cuda/host_device.h>
#include <ebb/tensor/ops/conv.h>

#include <cmath>

namespace ebb {

template <class T>
EBB_HOST_DEVICE T activate(T x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return x < 0 ? T(0) : x;
    case Activation::silu:
      return x / (T(1) + std::exp(-x));
    case Activation::none:
      break;
  }
  return x;
}

}  // namespace ebb
