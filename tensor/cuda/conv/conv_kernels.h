// The convolutions' parts; conv.cu says which is used when.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

// A thread an element of the result, for all sizes.
void plain_conv(const ConvGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias,
                Activation activation, Tensor& y);
void plain_conv_data(const ConvGeometry& g, const Tensor& dy, const Tensor& weight,
                     const Tensor& bias, Activation activation, Tensor& dx);
void plain_conv_weights(const ConvGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dw);

void sum_pixels(const Tensor& dy, Tensor& db);
void relu_sum_pixels(const Tensor& y, Tensor& dy, Tensor& db);

}  // namespace ebb::cuda
