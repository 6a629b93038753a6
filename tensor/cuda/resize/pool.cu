// Maxima over windows: a thread an element, channels in neighbouring threads.
#include <ebb/tensor/cuda/common/index.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

#include <algorithm>

namespace ebb::cuda {

namespace {

template <class Index>
struct Pooled {
  Index height, width, channels;  // of the images x
  Index rows, columns;            // of windows
  Index kernel[2], stride[2], padding[2];
};
template <class Index>
Pooled<Index> pooled(const Tensor& x, const Tensor& y, const Pool2dOptions& options) {
  Pooled<Index> result{Index(x.size(1)),
                       Index(x.size(2)),
                       Index(x.size(3)),
                       Index(y.size(1)),
                       Index(y.size(2)),
                       {},
                       {},
                       {}};
  for (int side = 0; side < 2; ++side) {
    result.kernel[side] = Index(options.kernel[side]);
    result.stride[side] = Index(options.stride[side]);
    result.padding[side] = Index(options.padding[side]);
  }
  return result;
}

// The place in a channel's image of what window (i, j) has as its maximum: the first one in
// row-major order, or the last NaN.
template <class T, class Index>
__device__ Index best_place(const Pooled<Index>& p, const T* image, Index i, Index j) {
  const Index below = i * p.stride[0], right = j * p.stride[1];  // of the padded image
  const Index h0 = std::max(below, p.padding[0]) - p.padding[0];
  const Index w0 = std::max(right, p.padding[1]) - p.padding[1];
  const Index h1 = std::min(below + p.kernel[0] - p.padding[0], p.height);
  const Index w1 = std::min(right + p.kernel[1] - p.padding[1], p.width);
  Index best = (h0 * p.width + w0) * p.channels;
  T most = image[best];
  for (Index h = h0; h < h1; ++h)
    for (Index w = w0; w < w1; ++w) {
      const Index at = (h * p.width + w) * p.channels;
      const T value = image[at];
      if (value > most || value != value) {
        best = at;
        most = value;
      }
    }
  return best;
}

template <class T, class Index>
__global__ void max_pool_kernel(Index n, Pooled<Index> p, const T* x, T* y) {
  for (Index at = thread_index(); at < n; at += thread_count()) {
    const Index c = at % p.channels, pixel = at / p.channels;
    const Index j = pixel % p.columns, row = pixel / p.columns;
    const Index i = row % p.rows, image = row / p.rows;
    const T* const from = x + image * p.height * p.width * p.channels + c;
    y[at] = from[best_place(p, from, i, j)];
  }
}

// A thread an element of dx: it looks which of its windows have it as their maximum.
template <class T, class Index>
__global__ void max_pool_backward_kernel(Index n, Pooled<Index> p, const T* grad, const T* x,
                                         T* dx) {
  for (Index at = thread_index(); at < n; at += thread_count()) {
    const Index c = at % p.channels, pixel = at / p.channels;
    const Index w = pixel % p.width, row = pixel / p.width;
    const Index h = row % p.height, image = row / p.height;
    const T* const from = x + image * p.height * p.width * p.channels + c;
    const T* const g = grad + image * p.rows * p.columns * p.channels + c;
    const Index mine = (h * p.width + w) * p.channels;
    // Window i begins at i stride and holds the padded row if it is less than kernel beyond that.
    const Index below = h + p.padding[0], right = w + p.padding[1];
    const Index i0 = below < p.kernel[0] ? 0 : (below - p.kernel[0]) / p.stride[0] + 1;
    const Index j0 = right < p.kernel[1] ? 0 : (right - p.kernel[1]) / p.stride[1] + 1;
    const Index i1 = std::min(below / p.stride[0] + 1, p.rows);
    const Index j1 = std::min(right / p.stride[1] + 1, p.columns);
    T sum = dx[at];
    for (Index i = i0; i < i1; ++i)
      for (Index j = j0; j < j1; ++j)
        if (best_place(p, from, i, j) == mine) sum += g[(i * p.columns + j) * p.channels];
    dx[at] = sum;
  }
}

// Below these all numbers stay that the kernels reckon with.
std::int64_t index_bound(const Tensor& x, const Tensor& y, const Pool2dOptions& options) {
  std::int64_t bound = std::max(x.numel(), y.numel());
  for (int side = 0; side < 2; ++side)
    bound = std::max({bound, x.size(1 + side) + 2 * options.padding[side], options.kernel[side],
                      options.stride[side]});
  return bound;
}

void max_pool2d(const Tensor& x, const Pool2dOptions& options, Tensor& out) {
  dispatch_floating("max_pool2d", x.dtype(), [&](auto zero) {
    with_index(index_bound(x, out, options), [&](auto index) {
      using T = decltype(zero);
      using Index = decltype(index);
      launch("max_pool2d", max_pool_kernel<T, Index>, blocks_for(out.numel()), block_threads, 0,
             Index(out.numel()), pooled<Index>(x, out, options), input<T>(x), output<T>(out));
    });
  });
}

void max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                         Tensor& dx) {
  dispatch_floating("max_pool2d_backward", x.dtype(), [&](auto zero) {
    with_index(index_bound(x, grad, options), [&](auto index) {
      using T = decltype(zero);
      using Index = decltype(index);
      launch("max_pool2d_backward", max_pool_backward_kernel<T, Index>, blocks_for(x.numel()),
             block_threads, 0, Index(x.numel()), pooled<Index>(x, grad, options), input<T>(grad),
             input<T>(x), output<T>(dx));
    });
  });
}

}  // namespace

void add_pool_kernels(Kernels& table) {
  table.max_pool2d = max_pool2d;
  table.max_pool2d_backward = max_pool2d_backward;
}

}  // namespace ebb::cuda
