// Pooling and resizing of images (N, H, W, C).
#pragma once

#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/tensor.h>

namespace ebb {

struct Pool2dOptions {
  Pair kernel{2, 2};
  Pair stride{0, 0};  // 0 means the kernel's size
  Pair padding{0, 0};
};

// Ho = floor((H + 2p - k) / s) + 1. max: padding counts as -infinity; the first maximum in
// row-major order gets the gradient, or the last NaN if there is one (as in PyTorch). avg: padding
// counts as zeros that are averaged too (PyTorch's count_include_pad).
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options = {});
Tensor max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options = {});
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options = {});
Tensor avg_pool2d_backward(const Tensor& grad, const Shape& x_shape,
                           const Pool2dOptions& options = {});

enum class Interpolation : std::uint8_t { nearest, bilinear };  // bilinear: align_corners = false
// To (N, height, width, C), as PyTorch's interpolate(size=...).
Tensor interpolate(const Tensor& x, std::int64_t height, std::int64_t width, Interpolation mode);
Tensor interpolate_backward(const Tensor& grad, const Shape& x_shape, Interpolation mode);

// (N, H r, W r, C) <-> (N, H, W, C r r), in PyTorch's channel order c r r + i r + j.
Tensor pixel_unshuffle(const Tensor& x, std::int64_t r);
Tensor pixel_shuffle(const Tensor& x, std::int64_t r);

}  // namespace ebb
