// Convolutions on the CPU. Images are (N,H,W,C), weights (Cout, Cin/groups, kh, kw).
//
// Each family of kernels has the same three signatures: `forward`, `backward_data` (with a bias
// and an activation it is the transposed convolution) and `backward_weights`. dispatch.cpp
// chooses the family. Bits of a sample's output do not depend on n or on the threads.
#pragma once

#include <ebb/tensor/ops/conv.h>

#include <cstdint>

namespace ebb::cpu {

// Sizes of a convolution from x (n,h,w,ci) to y (n,ho,wo,co).
struct ConvGeometry {
  std::int64_t n, h, w, ci, ho, wo, co;
  Pair kernel, stride, padding, dilation;
  std::int64_t groups;

  std::int64_t group_in() const { return ci / groups; }
  std::int64_t group_out() const { return co / groups; }
};

// Plain loops: what the others are held to.
namespace reference {
template <class T>
void forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
             Activation activation, T* y);
template <class T>
void backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                   Activation activation, T* dx);
template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw);
}  // namespace reference

// Any geometry, by gathering the pixels under the kernel's taps and multiplying matrices.
namespace direct {
template <class T>
void forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
             Activation activation, T* y);
template <class T>
void backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                   Activation activation, T* dx);
// db, unless it is null, is the gradient by the bias: the sum over the pixels of dy.
template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw, T* db);
}  // namespace direct

}  // namespace ebb::cpu
