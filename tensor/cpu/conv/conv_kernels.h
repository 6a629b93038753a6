// Convolutions on the CPU. Images are (N,H,W,C), weights (Cout, Cin/groups, kh, kw).
//
// Each family of kernels has the same three signatures: `forward`, `backward_data` (with a bias
// and an activation it is the transposed convolution) and `backward_weights`. dispatch.cpp
// chooses the family. Bits of a sample's output do not depend on n or on the threads.
#pragma once

#include <ebb/tensor/backend/backend.h>

#include <cstdint>

namespace ebb::cpu {

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
