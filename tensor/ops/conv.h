// Convolutions of images (N, H, W, C) with PyTorch's weights.
#pragma once

#include <ebb/tensor/tensor.h>

#include <array>

namespace ebb {

using Pair = std::array<std::int64_t, 2>;  // along H, along W

struct Conv2dOptions {
  Pair stride{1, 1};
  Pair padding{0, 0};  // zeros on every side
  Pair dilation{1, 1};
  std::int64_t groups = 1;
  Pair output_padding{0, 0};  // conv_transpose2d only; below stride or dilation
};

// Fused into the output: what is applied to y after the bias.
enum class Activation : std::uint8_t { none, relu, silu };

// y[n,h,w,o] = bias[o] + sum_{i,j,c} x[n, h s + i d - p, w s + j d - p, c] weight[o,c,i,j]
// (a cross-correlation, as in every framework). x (N,H,W,Cin), weight (Cout, Cin/groups, kh, kw),
// bias (Cout) or undefined; y (N,Ho,Wo,Cout), Ho = floor((H + 2p - d(kh-1) - 1) / s) + 1.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {}, Activation activation = Activation::none);
// The gradient by x: the adjoint. `height` and `width` are those of x.
Tensor conv2d_backward_data(const Tensor& grad, const Tensor& weight, std::int64_t height,
                            std::int64_t width, const Conv2dOptions& options = {});
struct ConvWeightGradients {
  Tensor weight, bias;
};
// The gradients by weight (kernel kh x kw) and, unless it is known, bias.
ConvWeightGradients conv2d_backward_weights(const Tensor& grad, const Tensor& x, Pair kernel,
                                            const Conv2dOptions& options = {},
                                            bool with_bias = true);

// The adjoint of conv2d's data part, plus bias. x (N,H,W,Cin), weight (Cin, Cout/groups, kh, kw),
// y (N,Ho,Wo,Cout), Ho = (H-1) s - 2p + d(kh-1) + output_padding + 1. A convolution whose
// weight's O and I change places: the gradients need no kernels of their own.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const Conv2dOptions& options = {},
                        Activation activation = Activation::none);
Tensor conv_transpose2d_backward_data(const Tensor& grad, const Tensor& weight,
                                      const Conv2dOptions& options = {});
ConvWeightGradients conv_transpose2d_backward_weights(const Tensor& grad, const Tensor& x,
                                                      Pair kernel,
                                                      const Conv2dOptions& options = {},
                                                      bool with_bias = true);

// Past an output's fused relu: grad where y > 0, 0 elsewhere, and its sum over pixels, which is the
// gradient by the bias. Takes grad's memory if nobody else has it. grad, y (N,H,W,C).
struct ReluGradients {
  Tensor grad, bias;
};
ReluGradients conv_relu_backward(Tensor grad, const Tensor& y);

// Exact convolutions take direct sums only: a 3x3 convolution then has the error of any float32
// sum (max about 6e-6 of the output's RMS), not that of Winograd's transform (9e-6), at up to three
// times the cost. Off unless the environment variable EBB_EXACT is 1.
//
// Reach: the transform works on tiles of 6x6 pixels, whose roundings all outputs of the tile (4x4)
// share. So a pixel that is much larger than its neighbours moves outputs up to four pixels away
// (its kernel reaches one) by at most 2e-6 of its own product with the weights (a pixel of 1e6 by
// 2, where the weights are 1), and a NaN or an infinity spreads as far. Use exact convolutions
// where that matters. In a weight's gradient an input's NaN or infinity may reach all taps of its
// channel, exact or not.
bool exact_convolutions();
void set_exact_convolutions(bool exact);

}  // namespace ebb
