// Sums over pixels of each channel, in double and in an order that the sizes alone decide: pieces
// of the pixels by blocks, then the pieces' sums by the same kernel.
#include <ebb/tensor/cuda/conv/conv_kernels.h>
#include <ebb/tensor/cuda/launch.h>

#include <algorithm>
#include <type_traits>

namespace ebb::cuda {

namespace {

// dy (pixels, channels) to sums (pieces, channels). A block has up to 256 neighbouring channels of
// one piece and as many rows of them as it has threads for, so neighbours read neighbours. `relu`:
// dy is 0 first where y is not positive.
template <bool relu, class From, class To>
__global__ void sum_pixels_kernel(std::int64_t pixels, std::int64_t channels, std::int64_t piece,
                                  const From* y, std::conditional_t<relu, From*, const From*> dy,
                                  To* sums) {
  __shared__ double shared[block_threads];
  const unsigned width = static_cast<unsigned>(channels < blockDim.x ? channels : blockDim.x);
  const unsigned groups = static_cast<unsigned>((channels + width - 1) / width);
  const unsigned rows = blockDim.x / width, row = threadIdx.x / width;
  const std::int64_t c = std::int64_t{blockIdx.x % groups} * width + threadIdx.x % width;
  const std::int64_t first = blockIdx.x / groups * piece;
  const std::int64_t end = first + piece < pixels ? first + piece : pixels;
  double sum = 0;
  if (row < rows && c < channels)
    for (std::int64_t p = first + row; p < end; p += rows) {
      From value = dy[p * channels + c];
      if constexpr (relu)
        if (y[p * channels + c] <= 0) dy[p * channels + c] = value = 0;
      sum += double(value);
    }
  shared[threadIdx.x] = sum;
  for (unsigned left = rows; left > 1;) {
    const unsigned half = (left + 1) / 2;
    __syncthreads();
    if (row + half < left) shared[threadIdx.x] += shared[threadIdx.x + half * width];
    left = half;
  }
  if (row == 0 && c < channels) sums[blockIdx.x / groups * channels + c] = To(shared[threadIdx.x]);
}

template <bool relu, class From, class To>
void sum_pieces(std::int64_t pixels, std::int64_t channels, std::int64_t pieces, const From* y,
                std::conditional_t<relu, From*, const From*> dy, To* sums) {
  const std::int64_t groups = (channels + block_threads - 1) / block_threads;
  launch("sum_pixels", sum_pixels_kernel<relu, From, To>, static_cast<unsigned>(pieces * groups),
         block_threads, 0, pixels, channels, (pixels + pieces - 1) / pieces, y, dy, sums);
}

template <bool relu, class T>
void sum_in_two(const Tensor& gradient, const T* y, std::conditional_t<relu, T*, const T*> dy,
                Tensor& db) {
  const std::int64_t channels = db.numel();
  if (channels == 0) return;
  const std::int64_t pixels = gradient.numel() / channels;
  // A thread has about 32 pixels to add.
  const std::int64_t rows = std::max<std::int64_t>(1, block_threads / channels);
  const std::int64_t pieces = std::clamp<std::int64_t>(pixels / (32 * rows), 1, 512);
  Tensor sums = Tensor::empty({pieces, channels}, DType::float64, db.device());
  sum_pieces<relu, T, double>(pixels, channels, pieces, y, dy, output<double>(sums));
  sum_pieces<false, double, T>(pieces, channels, 1, nullptr, input<double>(sums), output<T>(db));
}

}  // namespace

void sum_pixels(const Tensor& dy, Tensor& db) {
  dispatch_floating("sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_in_two<false, T>(dy, nullptr, input<T>(dy), db);
  });
}

void relu_sum_pixels(const Tensor& y, Tensor& dy, Tensor& db) {
  dispatch_floating("relu_sum_pixels", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_in_two<true, T>(dy, input<T>(y), output<T>(dy), db);
  });
}

}  // namespace ebb::cuda
