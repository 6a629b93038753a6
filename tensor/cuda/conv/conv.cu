// Which kernel computes which convolution.
#include <ebb/tensor/cuda/conv/conv_kernels.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Conv2dOptions& options, Activation activation, Tensor& y) {
  const ConvGeometry g = conv_geometry(x, weight, y, options);
  plain_conv(g, x, weight, bias, activation, y);
}

void backward_data(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const Conv2dOptions& options, Activation activation, Tensor& dx) {
  const ConvGeometry g = conv_geometry(dx, weight, dy, options);
  plain_conv_data(g, dy, weight, bias, activation, dx);
}

void backward_weights(const Tensor& dy, const Tensor& x, const Conv2dOptions& options, Tensor& dw,
                      Tensor& db) {
  const ConvGeometry g = conv_geometry(x, dw, dy, options);
  plain_conv_weights(g, dy, x, dw);
  if (db.defined()) sum_pixels(dy, db);
}

}  // namespace

void add_conv_kernels(Kernels& table) {
  table.conv2d = forward;
  table.conv2d_backward_data = backward_data;
  table.conv2d_backward_weights = backward_weights;
  table.sum_pixels = sum_pixels;
  table.relu_sum_pixels = relu_sum_pixels;
}

}  // namespace ebb::cuda
