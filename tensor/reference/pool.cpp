#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <limits>

namespace ebb::reference {

namespace {

// The part of window `i` that is inside [0, n).
struct Window {
  std::int64_t begin, end;
  Window(std::int64_t i, std::size_t side, std::int64_t n, const Pool2dOptions& options)
      : begin(i * options.stride[side] - options.padding[side]),
        end(std::min(begin + options.kernel[side], n)) {
    begin = std::max<std::int64_t>(begin, 0);
  }
};

void resample(const Tensor& x, const ResizeWeights& rows, const ResizeWeights& columns,
              Tensor& out) {
  const std::int64_t height = out.size(1), width = out.size(2), channels = out.size(3);
  dispatch_floating("resample", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = output<T>(out);
    // Calls body(source, weight) for the weights of output i.
    const auto for_taps = [](const ResizeWeights& weights, std::int64_t i, const auto& body) {
      const auto at = static_cast<std::size_t>(i);
      for (auto k = static_cast<std::size_t>(weights.first[at]);
           k < static_cast<std::size_t>(weights.first[at + 1]); ++k)
        body(weights.source[k], weights.weight[k]);
    };
    for (std::int64_t n = 0; n < out.size(0); ++n)
      for (std::int64_t h = 0; h < height; ++h)
        for (std::int64_t w = 0; w < width; ++w)
          for (std::int64_t c = 0; c < channels; ++c) {
            double sum = 0;
            for_taps(rows, h, [&](std::int64_t from_h, double by_h) {
              for_taps(columns, w, [&](std::int64_t from_w, double by_w) {
                sum += by_h * by_w *
                       double(input<T>(
                           x)[((n * x.size(1) + from_h) * x.size(2) + from_w) * channels + c]);
              });
            });
            *to++ = T(sum);
          }
  });
}

}  // namespace

void max_pool2d(const Tensor& x, const Pool2dOptions& options, std::int64_t begin, std::int64_t end,
                Tensor& out) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const std::int64_t rows = out.size(1), columns = out.size(2);
  dispatch_floating("max_pool2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t row = begin; row < end; ++row) {
      const T* image = input<T>(x) + row / rows * height * width * channels;
      T* to = output<T>(out) + row * columns * channels;
      const Window down(row % rows, 0, height, options);
      for (std::int64_t j = 0; j < columns; ++j, to += channels) {
        const Window across(j, 1, width, options);
        std::fill(to, to + channels, -std::numeric_limits<T>::infinity());
        for (std::int64_t h = down.begin; h < down.end; ++h)
          for (std::int64_t w = across.begin; w < across.end; ++w) {
            const T* from = image + (h * width + w) * channels;
            for (std::int64_t c = 0; c < channels; ++c)
              to[c] = from[c] > to[c] || from[c] != from[c] ? from[c] : to[c];
          }
      }
    }
  });
}

void max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                         std::int64_t begin, std::int64_t end, Tensor& dx) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const std::int64_t rows = grad.size(1), columns = grad.size(2);
  dispatch_floating("max_pool2d_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t image = begin; image < end; ++image) {
      const T* from = input<T>(x) + image * height * width * channels;
      const T* g = input<T>(grad) + image * rows * columns * channels;
      T* to = output<T>(dx) + image * height * width * channels;
      for (std::int64_t i = 0; i < rows; ++i) {
        const Window down(i, 0, height, options);
        for (std::int64_t j = 0; j < columns; ++j) {
          const Window across(j, 1, width, options);
          for (std::int64_t c = 0; c < channels; ++c) {
            std::int64_t best = (down.begin * width + across.begin) * channels + c;
            for (std::int64_t h = down.begin; h < down.end; ++h)
              for (std::int64_t w = across.begin; w < across.end; ++w) {
                const std::int64_t at = (h * width + w) * channels + c;
                if (from[at] > from[best] || from[at] != from[at]) best = at;
              }
            to[best] += g[(i * columns + j) * channels + c];
          }
        }
      }
    }
  });
}

void add_pool_kernels(Kernels& table) {
  table.max_pool2d = [](const Tensor& x, const Pool2dOptions& options, Tensor& out) {
    max_pool2d(x, options, 0, out.size(0) * out.size(1), out);
  };
  table.max_pool2d_backward = [](const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                                 Tensor& dx) {
    max_pool2d_backward(grad, x, options, 0, x.size(0), dx);
  };
  table.resample = resample;
}

}  // namespace ebb::reference
