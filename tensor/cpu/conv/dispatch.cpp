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

std::int64_t pixels(const Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Conv2dOptions& options, Activation activation, Tensor& y) {
  const ConvGeometry g = geometry(x, weight, y, options);
  dispatch_floating("conv2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g))
        return winograd::forward(g, values<T>(x), values<T>(weight), values<T>(bias), activation,
                                 values<T>(y), &weight);
    if (use_product(g))
      return gemm(pixels(x), g.co, g.ci, {values<T>(x), g.ci, 1}, {values<T>(weight), 1, g.ci},
                  values<T>(y), g.co, {false, values<T>(bias), activation});
    direct::forward(g, values<T>(x), values<T>(weight), values<T>(bias), activation, values<T>(y));
  });
}

void backward_data(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const Conv2dOptions& options, Activation activation, Tensor& dx) {
  const ConvGeometry g = geometry(dx, weight, dy, options);
  dispatch_floating("conv2d_backward_data", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g))
        return winograd::backward_data(g, values<T>(dy), values<T>(weight), values<T>(bias),
                                       activation, values<T>(dx), &weight);
    if (use_product(g))
      return gemm(pixels(dy), g.ci, g.co, {values<T>(dy), g.co, 1}, {values<T>(weight), g.ci, 1},
                  values<T>(dx), g.ci, {false, values<T>(bias), activation});
    direct::backward_data(g, values<T>(dy), values<T>(weight), values<T>(bias), activation,
                          values<T>(dx));
  });
}

void backward_weights(const Tensor& dy, const Tensor& x, const Conv2dOptions& options, Tensor& dw,
                      Tensor& db) {
  const ConvGeometry g = geometry(x, dw, dy, options);
  dispatch_floating("conv2d_backward_weights", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (use_winograd(g) && g.n > 0)
        return winograd::backward_weights(g, values<T>(dy), values<T>(x), values<T>(dw),
                                          values<T>(db));
    T* bias = db.defined() ? values<T>(db) : nullptr;
    if (use_product(g)) {
      gemm(g.co, g.ci, pixels(dy), {values<T>(dy), 1, g.co}, {values<T>(x), g.ci, 1}, values<T>(dw),
           g.ci);
      if (bias) sum_pixels(pixels(dy), g.co, values<T>(dy), bias);
      return;
    }
    direct::backward_weights(g, values<T>(dy), values<T>(x), values<T>(dw), bias);
  });
}

void bias_gradient(const Tensor& dy, Tensor& db) {
  dispatch_floating("sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_pixels(pixels(dy), dy.size(-1), values<T>(dy), values<T>(db));
  });
}

void relu_bias_gradient(const Tensor& y, Tensor& dy, Tensor& db) {
  dispatch_floating("relu_sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    relu_sum_pixels(pixels(dy), dy.size(-1), values<T>(y), values<T>(dy), values<T>(db));
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
