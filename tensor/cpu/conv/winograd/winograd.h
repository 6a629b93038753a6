// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3) (Lavin & Gray 2016), float32.
//
//    6x6 pixels of x       36 numbers v       36 numbers m        4x4 pixels of y
//    +-+-+-+-+-+-+        for each channel    for each output
//    | . . . . . .|  B^T d B               c   channel          A^T m A   +- - - -+
//    | . . . . . .| --------->  v[xi][c] ---> sum_c v u  -----> --------> |. . . .|
//    | . . . . . .|                         u = G w G^T                   |. . . .|
//    +------------+       (a matrix product over tiles for each xi)      +- - - -+
//
// 36 products make 16 pixels that cost 144 directly: a quarter of the work. The transforms are
// those of polynomial products interpolated at 0, +-1/sqrt 2, +-sqrt 2 and infinity; these points
// give a fifth of the error of the textbook's 0, +-1, +-2 (max 9e-6 of the output's RMS at 64 to
// 128 channels, where direct float32 sums have 6e-6). With p = 1/sqrt 2, q = sqrt 2:
//
//   B^T = [ 1  0 -5/2  0  1  0 ]   G = [ 1     0    0   ]   A^T = [ 1  1    1   1   1  0 ]
//         [ 0 -q  -2   p  1  0 ]       [-2/3 -2p/3 -1/3 ]         [ 0  p   -p   q  -q  0 ]
//         [ 0  q  -2  -p  1  0 ]       [-2/3  2p/3 -1/3 ]         [ 0 1/2  1/2  2   2  0 ]
//         [ 0 -p -1/2  q  1  0 ]       [ 1/6  q/6   1/3 ]         [ 0 p/2 -p/2 2q -2q  1 ]
//         [ 0  p -1/2 -q  1  0 ]       [ 1/6 -q/6   1/3 ]
//         [ 0  1   0 -5/2 0  1 ]       [ 0     0    1   ]
//
// Without infinity, the last row of each, five points make three pixels: where these end at an
// edge that four pixels would reach past, less is wasted (tiling.h).
//
// The gradient by x is the same convolution with w flipped and its channels exchanged. The
// gradient by w is the adjoint of all three: dw = G^T (sum over tiles of v * (A dy A^T)) G.
#pragma once

#include <ebb/tensor/cpu/conv/conv_kernels.h>
#include <ebb/tensor/weight_cache.h>

namespace ebb::cpu::winograd {

// 3x3, stride 1, no dilation, one group.
bool fits(const ConvGeometry& g);

// The transform of `cached`, a tensor that holds `weight`, is taken from, or goes to, the thread's
// WeightCache.
void forward(const ConvGeometry& g, const float* x, const float* weight, const float* bias,
             Activation activation, float* y, const Tensor* cached = nullptr);
void backward_data(const ConvGeometry& g, const float* dy, const float* weight, const float* bias,
                   Activation activation, float* dx, const Tensor* cached = nullptr);
// db (may be null): the gradient by the bias. n > 0.
void backward_weights(const ConvGeometry& g, const float* dy, const float* x, float* dw, float* db);

}  // namespace ebb::cpu::winograd
