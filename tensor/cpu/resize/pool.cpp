// Maxima over windows.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>

#include <limits>

namespace ebb::cpu {

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

void max_pool2d(const Tensor& x, const Pool2dOptions& options, Tensor& out) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const std::int64_t rows = out.size(1), columns = out.size(2);
  dispatch_floating("max_pool2d", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for(out.size(0) * rows, 1, [&](std::int64_t row, std::int64_t) {
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
    });
  });
}

// Windows may overlap, so that an image is one thread's.
void max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                         Tensor& dx) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const std::int64_t rows = grad.size(1), columns = grad.size(2);
  dispatch_floating("max_pool2d_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for(x.size(0), 1, [&](std::int64_t image, std::int64_t) {
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
    });
  });
}

}  // namespace

void add_pool_kernels(Kernels& table) {
  table.max_pool2d = max_pool2d;
  table.max_pool2d_backward = max_pool2d_backward;
}

}  // namespace ebb::cpu
