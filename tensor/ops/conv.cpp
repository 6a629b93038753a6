#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/conv.h>

#include <algorithm>

namespace ebb {

namespace {

// Sides, strides and the like below this: what they multiply and add up to fits int64.
constexpr std::int64_t most = std::int64_t{1} << 31;

void check_range(std::string_view name, std::string_view what, std::int64_t value,
                 std::int64_t least) {
  check(value >= least, "{}: {} is {}; use {} or more", name, what, value, least);
  check(value < most, "{}: {} is {}; use less than {}", name, what, value, most);
}

// What must hold whatever the sizes of the images are.
void check_options(std::string_view name, const Conv2dOptions& options, bool transposed) {
  for (int axis : {0, 1}) {
    check_range(name, "stride", options.stride[axis], 1);
    check_range(name, "dilation", options.dilation[axis], 1);
    check_range(name, "padding", options.padding[axis], 0);
    const std::int64_t extra = options.output_padding[axis];
    check(transposed || extra == 0, "{}: output_padding is {}; only conv_transpose2d has it", name,
          extra);
    check(extra >= 0 && extra < most &&
              (extra == 0 || extra < options.stride[axis] || extra < options.dilation[axis]),
          "{}: output_padding is {}; it must be below stride {} or dilation {}", name, extra,
          options.stride[axis], options.dilation[axis]);
  }
  check(options.groups >= 1, "{}: groups is {}; use 1 or more", name, options.groups);
}

void check_rank(std::string_view name, std::string_view what, std::string_view wanted,
                const Tensor& tensor) {
  check(tensor.defined() && tensor.rank() == 4, "{}: {} has shape {}; it must be {}", name, what,
        tensor.shape(), wanted);
}

void check_kernel(std::string_view name, const Pair& kernel) {
  check(kernel[0] >= 1 && kernel[1] >= 1, "{}: the kernel is {} x {}; both sizes must be 1 or more",
        name, kernel[0], kernel[1]);
  check(std::max(kernel[0], kernel[1]) < most, "{}: the kernel is {} x {}; use less than {}", name,
        kernel[0], kernel[1], most);
}

void check_groups(std::string_view name, std::string_view what, std::int64_t channels,
                  const Conv2dOptions& options) {
  check(channels % options.groups == 0, "{}: {} channels {} are not divisible by groups {}", name,
        what, channels, options.groups);
}

void check_outputs(std::string_view name, std::int64_t channels) {
  check(channels > 0, "{}: there are {} output channels; give at least one", name, channels);
}

void check_bias(std::string_view name, const Tensor& bias, std::int64_t channels) {
  check(!bias.defined() || bias.shape() == Shape{channels}, "{}: bias has shape {}; it must be {}",
        name, bias.shape(), Shape{channels});
}

// Sizes of y from those of x, along one axis.
std::int64_t output_size(std::string_view name, int axis, std::int64_t size, std::int64_t kernel,
                         const Conv2dOptions& options) {
  check_range(name, axis == 0 ? "the image's height" : "the image's width", size, 1);
  const std::int64_t padded = size + 2 * options.padding[axis];
  const std::int64_t reach = options.dilation[axis] * (kernel - 1) + 1;
  check(padded >= reach,
        "{}: an image of size {} with padding is smaller than the kernel's {}; "
        "use a larger image or more padding",
        name, padded, reach);
  return (padded - reach) / options.stride[axis] + 1;
}

std::int64_t transposed_size(std::string_view name, int axis, std::int64_t size,
                             std::int64_t kernel, const Conv2dOptions& options) {
  check_range(name, axis == 0 ? "the image's height" : "the image's width", size, 1);
  const std::int64_t result = (size - 1) * options.stride[axis] - 2 * options.padding[axis] +
                              options.dilation[axis] * (kernel - 1) + options.output_padding[axis] +
                              1;
  check(result >= 1, "{}: the output's size would be {}; use a larger image or less padding", name,
        result);
  return result;
}

// The inverse of transposed_size: the size of x from that of grad.
std::int64_t transposed_input(std::string_view name, int axis, const Tensor& grad,
                              const Tensor& weight, const Conv2dOptions& options) {
  check_range(name, "a side of grad", grad.size(1 + axis), 1);
  const std::int64_t rest = grad.size(1 + axis) + 2 * options.padding[axis] -
                            options.dilation[axis] * (weight.size(2 + axis) - 1) -
                            options.output_padding[axis] - 1;
  check(rest >= -options.stride[axis] && rest % options.stride[axis] == 0,
        "{}: grad {} is not the output of any x with weight {} and stride {}", name, grad.shape(),
        weight.shape(), options.stride[axis]);
  return rest / options.stride[axis] + 1;
}

// grad must be the output of a convolution of an image of x's sizes.
void check_gradient(std::string_view name, const Tensor& grad, std::int64_t height,
                    std::int64_t width, const Pair& kernel, const Conv2dOptions& options) {
  const Shape wanted{grad.size(0), output_size(name, 0, height, kernel[0], options),
                     output_size(name, 1, width, kernel[1], options), grad.size(3)};
  check(grad.shape() == wanted, "{}: grad has shape {}; an image of {} x {} gives {}", name,
        grad.shape(), height, width, wanted);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options, Activation activation) {
  const std::string_view name = "conv2d";
  check_options(name, options, false);
  check_rank(name, "x", "(N, H, W, C)", x);
  check_rank(name, "weight", "(Cout, Cin/groups, kh, kw)", weight);
  check_kernel(name, {weight.size(2), weight.size(3)});
  check_groups(name, "input", x.size(3), options);
  check_groups(name, "output", weight.size(0), options);
  check_outputs(name, weight.size(0));
  check(weight.size(1) * options.groups == x.size(3),
        "{}: weight {} with groups {} wants {} channels, x has shape {}", name, weight.shape(),
        options.groups, weight.size(1) * options.groups, x.shape());
  check_bias(name, bias, weight.size(0));
  const Device device = common_device(name, {&x, &weight, &bias});
  const DType dtype = common_dtype(name, {&x, &weight, &bias});
  Tensor y =
      Tensor::empty({x.size(0), output_size(name, 0, x.size(1), weight.size(2), options),
                     output_size(name, 1, x.size(2), weight.size(3), options), weight.size(0)},
                    dtype, device);
  use(name, device, kernels(device).conv2d)(x, weight, bias, options, activation, y);
  return y;
}

Tensor conv2d_backward_data(const Tensor& grad, const Tensor& weight, std::int64_t height,
                            std::int64_t width, const Conv2dOptions& options) {
  const std::string_view name = "conv2d_backward_data";
  check_options(name, options, false);
  check_rank(name, "grad", "(N, H, W, C)", grad);
  check_rank(name, "weight", "(Cout, Cin/groups, kh, kw)", weight);
  check_kernel(name, {weight.size(2), weight.size(3)});
  check(grad.size(3) == weight.size(0), "{}: grad {} and weight {} differ in output channels", name,
        grad.shape(), weight.shape());
  check_groups(name, "output", weight.size(0), options);
  check_outputs(name, weight.size(0));
  check_gradient(name, grad, height, width, {weight.size(2), weight.size(3)}, options);
  const Device device = common_device(name, {&grad, &weight});
  const DType dtype = common_dtype(name, {&grad, &weight});
  Tensor dx =
      Tensor::empty({grad.size(0), height, width, weight.size(1) * options.groups}, dtype, device);
  use(name, device, kernels(device).conv2d_backward_data)(grad, weight, Tensor(), options,
                                                          Activation::none, dx);
  return dx;
}

ConvWeightGradients conv2d_backward_weights(const Tensor& grad, const Tensor& x, Pair kernel,
                                            const Conv2dOptions& options, bool with_bias) {
  const std::string_view name = "conv2d_backward_weights";
  check_options(name, options, false);
  check_rank(name, "grad", "(N, H, W, C)", grad);
  check_rank(name, "x", "(N, H, W, C)", x);
  check_kernel(name, kernel);
  check_groups(name, "input", x.size(3), options);
  check_groups(name, "output", grad.size(3), options);
  check(grad.size(0) == x.size(0), "{}: grad {} and x {} differ in samples", name, grad.shape(),
        x.shape());
  check_gradient(name, grad, x.size(1), x.size(2), kernel, options);
  const Device device = common_device(name, {&grad, &x});
  const DType dtype = common_dtype(name, {&grad, &x});
  ConvWeightGradients result;
  result.weight = Tensor::empty({grad.size(3), x.size(3) / options.groups, kernel[0], kernel[1]},
                                dtype, device);
  if (with_bias) result.bias = Tensor::empty({grad.size(3)}, dtype, device);
  use(name, device, kernels(device).conv2d_backward_weights)(grad, x, options, result.weight,
                                                             result.bias);
  return result;
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Conv2dOptions& options, Activation activation) {
  const std::string_view name = "conv_transpose2d";
  check_options(name, options, true);
  check_rank(name, "x", "(N, H, W, C)", x);
  check_rank(name, "weight", "(Cin, Cout/groups, kh, kw)", weight);
  check_kernel(name, {weight.size(2), weight.size(3)});
  check_groups(name, "input", x.size(3), options);
  check(weight.size(0) == x.size(3), "{}: weight {} wants {} channels, x has shape {}", name,
        weight.shape(), weight.size(0), x.shape());
  check_outputs(name, weight.size(1));
  check(weight.size(0) > 0, "{}: there are no input channels; give at least one", name);
  check_bias(name, bias, weight.size(1) * options.groups);
  const Device device = common_device(name, {&x, &weight, &bias});
  const DType dtype = common_dtype(name, {&x, &weight, &bias});
  Tensor y = Tensor::empty({x.size(0), transposed_size(name, 0, x.size(1), weight.size(2), options),
                            transposed_size(name, 1, x.size(2), weight.size(3), options),
                            weight.size(1) * options.groups},
                           dtype, device);
  use(name, device, kernels(device).conv2d_backward_data)(x, weight, bias, options, activation, y);
  return y;
}

Tensor conv_transpose2d_backward_data(const Tensor& grad, const Tensor& weight,
                                      const Conv2dOptions& options) {
  const std::string_view name = "conv_transpose2d_backward_data";
  check_options(name, options, true);
  check_rank(name, "grad", "(N, H, W, C)", grad);
  check_rank(name, "weight", "(Cin, Cout/groups, kh, kw)", weight);
  check_kernel(name, {weight.size(2), weight.size(3)});
  check_groups(name, "input", weight.size(0), options);
  check(weight.size(1) * options.groups == grad.size(3),
        "{}: weight {} with groups {} gives {} channels, grad has shape {}", name, weight.shape(),
        options.groups, weight.size(1) * options.groups, grad.shape());
  const Device device = common_device(name, {&grad, &weight});
  const DType dtype = common_dtype(name, {&grad, &weight});
  Tensor dx = Tensor::empty({grad.size(0), transposed_input(name, 0, grad, weight, options),
                             transposed_input(name, 1, grad, weight, options), weight.size(0)},
                            dtype, device);
  use(name, device, kernels(device).conv2d)(grad, weight, Tensor(), options, Activation::none, dx);
  return dx;
}

ConvWeightGradients conv_transpose2d_backward_weights(const Tensor& grad, const Tensor& x,
                                                      Pair kernel, const Conv2dOptions& options,
                                                      bool with_bias) {
  const std::string_view name = "conv_transpose2d_backward_weights";
  check_options(name, options, true);
  check_rank(name, "grad", "(N, H, W, C)", grad);
  check_rank(name, "x", "(N, H, W, C)", x);
  check_kernel(name, kernel);
  check_groups(name, "input", x.size(3), options);
  check_groups(name, "output", grad.size(3), options);
  const Shape wanted{x.size(0), transposed_size(name, 0, x.size(1), kernel[0], options),
                     transposed_size(name, 1, x.size(2), kernel[1], options), grad.size(3)};
  check(grad.shape() == wanted, "{}: grad has shape {}; x {} gives {}", name, grad.shape(),
        x.shape(), wanted);
  const Device device = common_device(name, {&grad, &x});
  const DType dtype = common_dtype(name, {&grad, &x});
  ConvWeightGradients result;
  result.weight = Tensor::empty({x.size(3), grad.size(3) / options.groups, kernel[0], kernel[1]},
                                dtype, device);
  Tensor none;
  use(name, device, kernels(device).conv2d_backward_weights)(x, grad, options, result.weight, none);
  if (!with_bias) return result;
  result.bias = Tensor::empty({grad.size(3)}, dtype, device);
  use(name, device, kernels(device).sum_pixels)(grad, result.bias);
  return result;
}

ReluGradients conv_relu_backward(Tensor grad, const Tensor& y) {
  const std::string_view name = "conv_relu_backward";
  check_rank(name, "grad", "(N, H, W, C)", grad);
  const Device device = common_device(name, {&grad, &y});
  const DType dtype = common_dtype(name, {&grad, &y});
  check(grad.shape() == y.shape(), "{}: grad has shape {}, y {}", name, grad.shape(), y.shape());
  ReluGradients result;
  result.bias = Tensor::empty({grad.size(3)}, dtype, device);
  result.grad = grad.is_unique() ? std::move(grad) : grad.clone();
  use(name, device, kernels(device).relu_sum_pixels)(y, result.grad, result.bias);
  return result;
}

}  // namespace ebb
