// The plain kernels: a thread an element of the result, each sum as its formula says.
//
//   y[n,h,w,o] = bias[o] + sum_{i,j,c} x[n, h s + i d - p, w s + j d - p, c] weight[o,c,i,j]
#include <ebb/tensor/backend/activation.h>
#include <ebb/tensor/cuda/conv/conv_kernels.h>
#include <ebb/tensor/cuda/launch.h>

namespace ebb::cuda {

namespace {

// The pixel of x that the tap `at` of a kernel meets for the pixel `out` of y, along one axis; and
// the other way around, -1 where there is none.
__device__ std::int64_t input_of(const ConvGeometry& g, int axis, std::int64_t out,
                                 std::int64_t at) {
  return out * g.stride[axis] + at * g.dilation[axis] - g.padding[axis];
}
__device__ std::int64_t output_of(const ConvGeometry& g, int axis, std::int64_t in,
                                  std::int64_t at) {
  const std::int64_t scaled = in + g.padding[axis] - at * g.dilation[axis];
  return scaled < 0 || scaled % g.stride[axis] != 0 ? -1 : scaled / g.stride[axis];
}
__device__ bool inside(std::int64_t i, std::int64_t size) { return i >= 0 && i < size; }

template <class T>
__global__ void plain_forward_kernel(const ConvGeometry g, const T* x, const T* weight,
                                     const T* bias, Activation activation, T* y) {
  const auto [kh, kw] = g.kernel;
  for (std::int64_t e = thread_index(); e < g.n * g.ho * g.wo * g.co; e += thread_count()) {
    const std::int64_t o = e % g.co, ow = e / g.co % g.wo, oh = e / g.co / g.wo % g.ho;
    const std::int64_t n = e / g.co / g.wo / g.ho, first = o / g.group_out() * g.group_in();
    T sum = 0;
    for (std::int64_t i = 0; i < kh; ++i)
      for (std::int64_t j = 0; j < kw; ++j) {
        const std::int64_t h = input_of(g, 0, oh, i), w = input_of(g, 1, ow, j);
        if (!inside(h, g.h) || !inside(w, g.w)) continue;
        const T* from = x + ((n * g.h + h) * g.w + w) * g.ci + first;
        const T* by = weight + o * g.group_in() * kh * kw + i * kw + j;
        for (std::int64_t c = 0; c < g.group_in(); ++c) sum += from[c] * by[c * kh * kw];
      }
    y[e] = activate(sum + (bias == nullptr ? T(0) : bias[o]), activation);
  }
}

template <class T>
__global__ void plain_data_kernel(const ConvGeometry g, const T* dy, const T* weight, const T* bias,
                                  Activation activation, T* dx) {
  const auto [kh, kw] = g.kernel;
  for (std::int64_t e = thread_index(); e < g.n * g.h * g.w * g.ci; e += thread_count()) {
    const std::int64_t c = e % g.ci, w = e / g.ci % g.w, h = e / g.ci / g.w % g.h;
    const std::int64_t n = e / g.ci / g.w / g.h, first = c / g.group_in() * g.group_out();
    T sum = 0;
    for (std::int64_t i = 0; i < kh; ++i)
      for (std::int64_t j = 0; j < kw; ++j) {
        const std::int64_t oh = output_of(g, 0, h, i), ow = output_of(g, 1, w, j);
        if (!inside(oh, g.ho) || !inside(ow, g.wo)) continue;
        const T* from = dy + ((n * g.ho + oh) * g.wo + ow) * g.co + first;
        const T* by = weight + ((first * g.group_in() + c % g.group_in()) * kh + i) * kw + j;
        for (std::int64_t o = 0; o < g.group_out(); ++o)
          sum += from[o] * by[o * g.group_in() * kh * kw];
      }
    dx[e] = activate(sum + (bias == nullptr ? T(0) : bias[c]), activation);
  }
}

// Of many pixels, so the sum is made in double.
template <class T>
__global__ void plain_weights_kernel(const ConvGeometry g, const T* dy, const T* x, T* dw) {
  const auto [kh, kw] = g.kernel;
  const std::int64_t weights = g.co * g.group_in() * kh * kw;
  for (std::int64_t e = thread_index(); e < weights; e += thread_count()) {
    const std::int64_t j = e % kw, i = e / kw % kh, o = e / kw / kh / g.group_in();
    const std::int64_t c = o / g.group_out() * g.group_in() + e / kw / kh % g.group_in();
    double sum = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for (std::int64_t oh = 0; oh < g.ho; ++oh) {
        const std::int64_t h = input_of(g, 0, oh, i);
        if (!inside(h, g.h)) continue;
        for (std::int64_t ow = 0; ow < g.wo; ++ow) {
          const std::int64_t w = input_of(g, 1, ow, j);
          if (!inside(w, g.w)) continue;
          sum += double(dy[((n * g.ho + oh) * g.wo + ow) * g.co + o]) *
                 double(x[((n * g.h + h) * g.w + w) * g.ci + c]);
        }
      }
    dw[e] = T(sum);
  }
}

}  // namespace

void plain_conv(const ConvGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias,
                Activation activation, Tensor& y) {
  dispatch_floating("conv2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("conv2d", plain_forward_kernel<T>, blocks_for(y.numel()), block_threads, 0, g,
           input<T>(x), input<T>(weight), input<T>(bias), activation, output<T>(y));
  });
}

void plain_conv_data(const ConvGeometry& g, const Tensor& dy, const Tensor& weight,
                     const Tensor& bias, Activation activation, Tensor& dx) {
  dispatch_floating("conv2d_backward_data", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("conv2d_backward_data", plain_data_kernel<T>, blocks_for(dx.numel()), block_threads, 0,
           g, input<T>(dy), input<T>(weight), input<T>(bias), activation, output<T>(dx));
  });
}

void plain_conv_weights(const ConvGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dw) {
  dispatch_floating("conv2d_backward_weights", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("conv2d_backward_weights", plain_weights_kernel<T>, blocks_for(dw.numel()),
           block_threads, 0, g, input<T>(dy), input<T>(x), output<T>(dw));
  });
}

}  // namespace ebb::cuda
