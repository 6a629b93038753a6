// Which kernel computes which convolution.
#include <ebb/tensor/cpu/conv.h>
#include <ebb/tensor/cpu/conv_bias.h>
#include <ebb/tensor/cpu/table.h>

namespace ebb::cpu {

namespace {

// From x (n,h,w,ci), weight (co, ci/groups, kh, kw) and y (n,ho,wo,co).
ConvGeometry geometry(const Tensor& x, const Tensor& weight, const Tensor& y,
                      const Conv2dOptions& options) {
  return {x.size(0),      x.size(1),       x.size(2),        x.size(3),
          y.size(1),      y.size(2),       y.size(3),        {weight.size(2), weight.size(3)},
          options.stride, options.padding, options.dilation, options.groups};
}

template <class T>
const T* values(const Tensor& tensor) {
  return static_cast<const T*>(tensor.raw());
}
template <class T>
T* values(Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Conv2dOptions& options, Activation activation, Tensor& y) {
  const ConvGeometry g = geometry(x, weight, y, options);
  dispatch_floating("conv2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    lattice::forward(g, values<T>(x), values<T>(weight), values<T>(bias), activation, values<T>(y));
  });
}

void backward_data(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const Conv2dOptions& options, Activation activation, Tensor& dx) {
  const ConvGeometry g = geometry(dx, weight, dy, options);
  dispatch_floating("conv2d_backward_data", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    lattice::backward_data(g, values<T>(dy), values<T>(weight), values<T>(bias), activation,
                           values<T>(dx));
  });
}

void backward_weights(const Tensor& dy, const Tensor& x, const Conv2dOptions& options, Tensor& dw,
                      Tensor& db) {
  const ConvGeometry g = geometry(x, dw, dy, options);
  dispatch_floating("conv2d_backward_weights", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    lattice::backward_weights(g, values<T>(dy), values<T>(x), values<T>(dw));
    if (db.defined()) sum_pixels(g.n * g.ho * g.wo, g.co, values<T>(dy), values<T>(db));
  });
}

void bias_gradient(const Tensor& dy, Tensor& db) {
  dispatch_floating("sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t channels = db.numel();
    sum_pixels(channels == 0 ? 0 : dy.numel() / channels, channels, values<T>(dy), values<T>(db));
  });
}

}  // namespace

void add_conv_kernels(Kernels& table) {
  table.conv2d = forward;
  table.conv2d_backward_data = backward_data;
  table.conv2d_backward_weights = backward_weights;
  table.sum_pixels = bias_gradient;
}

}  // namespace ebb::cpu
