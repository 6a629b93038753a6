// Which kernel computes which convolution. The choice depends on the sizes of one sample, never on
// how many there are, so that a sample's bits do not depend on its batch.
#include <ebb/tensor/cpu/conv/bias.h>
#include <ebb/tensor/cpu/conv/conv_kernels.h>
#include <ebb/tensor/cpu/conv/winograd/tiling.h>
#include <ebb/tensor/cpu/conv/winograd/winograd.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/table.h>

#include <atomic>
#include <type_traits>

namespace ebb {

namespace {

std::atomic<bool>& exact() {
  static std::atomic<bool> value{cpu::environment("EBB_EXACT") == "1"};
  return value;
}

}  // namespace

bool exact_convolutions() { return exact(); }
void set_exact_convolutions(bool value) { exact() = value; }

namespace cpu {

namespace {

// Winograd's transforms pay when there are channels to sum over and images fill their tiles.
bool use_winograd(const ConvGeometry& g) {
  if (exact_convolutions() || !winograd::fits(g)) return false;
  const std::int64_t points = winograd::Axis(g.ho).points() * winograd::Axis(g.wo).points();
  return g.ci >= 16 && g.co >= 16 && g.ho * g.wo >= 32 && points * 2 <= g.ho * g.wo * 9;
}

// A 1x1 convolution is one product of matrices, whose rows are the pixels. For few channels the
// direct convolution has kernels of its own.
bool use_product(const ConvGeometry& g) {
  return g.kernel == Pair{1, 1} && g.stride == Pair{1, 1} && g.padding == Pair{0, 0} &&
         g.groups == 1 && g.ci >= 16 && g.co >= 16;
}

std::int64_t pixels(const Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Conv2dOptions& options, Activation activation, Tensor& y) {
  const ConvGeometry g = conv_geometry(x, weight, y, options);
  dispatch_floating("conv2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g))
        return winograd::forward(g, input<T>(x), input<T>(weight), input<T>(bias), activation,
                                 output<T>(y), &weight);
    if (use_product(g))
      return gemm(pixels(x), g.co, g.ci, {input<T>(x), g.ci, 1}, {input<T>(weight), 1, g.ci},
                  output<T>(y), g.co, {false, input<T>(bias), activation});
    direct::forward(g, input<T>(x), input<T>(weight), input<T>(bias), activation, output<T>(y));
  });
}

void backward_data(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const Conv2dOptions& options, Activation activation, Tensor& dx) {
  const ConvGeometry g = conv_geometry(dx, weight, dy, options);
  dispatch_floating("conv2d_backward_data", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g))
        return winograd::backward_data(g, input<T>(dy), input<T>(weight), input<T>(bias),
                                       activation, output<T>(dx), &weight);
    if (use_product(g))
      return gemm(pixels(dy), g.ci, g.co, {input<T>(dy), g.co, 1}, {input<T>(weight), g.ci, 1},
                  output<T>(dx), g.ci, {false, input<T>(bias), activation});
    direct::backward_data(g, input<T>(dy), input<T>(weight), input<T>(bias), activation,
                          output<T>(dx));
  });
}

void backward_weights(const Tensor& dy, const Tensor& x, const Conv2dOptions& options, Tensor& dw,
                      Tensor& db) {
  const ConvGeometry g = conv_geometry(x, dw, dy, options);
  dispatch_floating("conv2d_backward_weights", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g) && g.n > 0)
        return winograd::backward_weights(g, input<T>(dy), input<T>(x), output<T>(dw),
                                          output<T>(db));
    T* bias = db.defined() ? output<T>(db) : nullptr;
    if (use_product(g)) {
      gemm(g.co, g.ci, pixels(dy), {input<T>(dy), 1, g.co}, {input<T>(x), g.ci, 1}, output<T>(dw),
           g.ci);
      if (bias) sum_pixels(pixels(dy), g.co, input<T>(dy), bias);
      return;
    }
    direct::backward_weights(g, input<T>(dy), input<T>(x), output<T>(dw), bias);
  });
}

void bias_gradient(const Tensor& dy, Tensor& db) {
  dispatch_floating("sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_pixels(pixels(dy), dy.size(-1), input<T>(dy), output<T>(db));
  });
}

void relu_bias_gradient(const Tensor& y, Tensor& dy, Tensor& db) {
  dispatch_floating("relu_sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    relu_sum_pixels(pixels(dy), dy.size(-1), input<T>(y), output<T>(dy), output<T>(db));
  });
}

}  // namespace

void add_conv_kernels(Kernels& table) {
  table.conv2d = forward;
  table.conv2d_backward_data = backward_data;
  table.conv2d_backward_weights = backward_weights;
  table.sum_pixels = bias_gradient;
  table.relu_sum_pixels = relu_bias_gradient;
}

}  // namespace cpu
}  // namespace ebb
