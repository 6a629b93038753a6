#include <ebb/tensor/backend/activation.h>
#include <ebb/tensor/reference/reference.h>

#include <algorithm>

namespace ebb::reference {

namespace {

// Calls visit(y index, x index, weight index) for every product in the convolution.
template <class Visit>
void products(const ConvGeometry& g, const Visit& visit) {
  const auto [kh, kw] = g.kernel;
  for (std::int64_t n = 0; n < g.n; ++n)
    for (std::int64_t oh = 0; oh < g.ho; ++oh)
      for (std::int64_t ow = 0; ow < g.wo; ++ow)
        for (std::int64_t o = 0; o < g.co; ++o)
          for (std::int64_t i = 0; i < kh; ++i)
            for (std::int64_t j = 0; j < kw; ++j) {
              const std::int64_t h = oh * g.stride[0] + i * g.dilation[0] - g.padding[0];
              const std::int64_t w = ow * g.stride[1] + j * g.dilation[1] - g.padding[1];
              if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
              const std::int64_t first = o / g.group_out() * g.group_in();
              for (std::int64_t c = 0; c < g.group_in(); ++c)
                visit(((n * g.ho + oh) * g.wo + ow) * g.co + o,
                      ((n * g.h + h) * g.w + w) * g.ci + first + c,
                      ((o * g.group_in() + c) * kh + i) * kw + j);
            }
}

template <class T>
void finish(std::int64_t pixels, std::int64_t channels, const T* bias, Activation activation,
            T* y) {
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t c = 0; c < channels; ++c, ++y)
      *y = activate(*y + (bias ? bias[c] : 0), activation);
}

}  // namespace

template <class T>
void conv_forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
                  Activation activation, T* y) {
  std::fill_n(y, g.n * g.ho * g.wo * g.co, T(0));
  products(g, [&](auto yi, auto xi, auto wi) { y[yi] += x[xi] * weight[wi]; });
  finish(g.n * g.ho * g.wo, g.co, bias, activation, y);
}

template <class T>
void conv_backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                        Activation activation, T* dx) {
  std::fill_n(dx, g.n * g.h * g.w * g.ci, T(0));
  products(g, [&](auto yi, auto xi, auto wi) { dx[xi] += dy[yi] * weight[wi]; });
  finish(g.n * g.h * g.w, g.ci, bias, activation, dx);
}

template <class T>
void conv_backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  std::fill_n(dw, g.co * g.group_in() * g.kernel[0] * g.kernel[1], T(0));
  products(g, [&](auto yi, auto xi, auto wi) { dw[wi] += dy[yi] * x[xi]; });
}

#define EBB_INSTANTIATE(T)                                                                        \
  template void conv_forward(const ConvGeometry&, const T*, const T*, const T*, Activation, T*);  \
  template void conv_backward_data(const ConvGeometry&, const T*, const T*, const T*, Activation, \
                                   T*);                                                           \
  template void conv_backward_weights(const ConvGeometry&, const T*, const T*, T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

namespace {

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Conv2dOptions& options, Activation activation, Tensor& y) {
  dispatch_floating("conv2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    conv_forward(conv_geometry(x, weight, y, options), input<T>(x), input<T>(weight),
                 input<T>(bias), activation, output<T>(y));
  });
}

void backward_data(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const Conv2dOptions& options, Activation activation, Tensor& dx) {
  dispatch_floating("conv2d_backward_data", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    conv_backward_data(conv_geometry(dx, weight, dy, options), input<T>(dy), input<T>(weight),
                       input<T>(bias), activation, output<T>(dx));
  });
}

void sum_pixels(const Tensor& dy, Tensor& db) {
  const std::int64_t channels = dy.size(-1);
  dispatch_floating("sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (std::int64_t i = c; i < dy.numel(); i += channels) sum += double(input<T>(dy)[i]);
      output<T>(db)[c] = T(sum);
    }
  });
}

void relu_sum_pixels(const Tensor& y, Tensor& dy, Tensor& db) {
  dispatch_floating("relu_sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < dy.numel(); ++i)
      if (input<T>(y)[i] <= 0) output<T>(dy)[i] = T(0);
  });
  sum_pixels(dy, db);
}

void backward_weights(const Tensor& dy, const Tensor& x, const Conv2dOptions& options, Tensor& dw,
                      Tensor& db) {
  dispatch_floating("conv2d_backward_weights", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    conv_backward_weights(conv_geometry(x, dw, dy, options), input<T>(dy), input<T>(x),
                          output<T>(dw));
  });
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

}  // namespace ebb::reference
