#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/pool.h>

#include <cmath>

namespace ebb {

namespace {

void check_image(std::string_view operation, const Tensor& x) {
  check_floating(operation, x);
  check(x.rank() == 4, "{}: input {}; it must be an image (N, H, W, C)", operation, x.shape());
}

// The options with the stride filled in, and the output's height and width.
struct Pooling {
  Pool2dOptions options;
  Pair size;
};

Pooling pooling(std::string_view operation, const Shape& x, Pool2dOptions options) {
  check(x.rank() == 4 && x[1] > 0 && x[2] > 0 && x[3] > 0,
        "{}: input {}; it must be an image (N, H, W, C) and no side zero", operation, x);
  Pair size;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t k = options.kernel[i], p = options.padding[i];
    if (options.stride[i] == 0) options.stride[i] = k;
    const std::int64_t s = options.stride[i], n = x[static_cast<std::int64_t>(i) + 1];
    constexpr std::int64_t most = Shape::max_numel;  // no sum below overflows
    check(k >= 1 && k <= most && s >= 1 && p >= 0 && p <= k / 2,
          "{}: kernel {}, stride {}, padding {}; the first two must be 1 or more, the padding at "
          "most half the kernel",
          operation, k, s, p);
    check(n <= most, "{}: input {} is beyond what memory can address", operation, x);
    check(n + 2 * p >= k, "{}: kernel {} is larger than the padded input {} of {}", operation, k,
          n + 2 * p, x);
    size[i] = (n + 2 * p - k) / s + 1;
  }
  return {options, size};
}

Shape resized(const Shape& x, const Pair& size) { return {x[0], size[0], size[1], x[3]}; }

// The taps of the adjoint: what output i takes from source j, output j gives to source i.
ResizeWeights transposed(const ResizeWeights& taps, std::int64_t sources) {
  ResizeWeights result;
  const std::size_t outputs = taps.first.size() - 1;
  std::vector<std::vector<std::pair<std::int64_t, double>>> rows(static_cast<std::size_t>(sources));
  for (std::size_t i = 0; i < outputs; ++i)
    for (auto k = static_cast<std::size_t>(taps.first[i]);
         k < static_cast<std::size_t>(taps.first[i + 1]); ++k)
      rows[static_cast<std::size_t>(taps.source[k])].emplace_back(static_cast<std::int64_t>(i),
                                                                  taps.weight[k]);
  for (const auto& row : rows) {
    for (const auto& [source, weight] : row) {
      result.source.push_back(source);
      result.weight.push_back(weight);
    }
    result.first.push_back(static_cast<std::int64_t>(result.source.size()));
  }
  return result;
}

void add_tap(ResizeWeights& taps, std::int64_t source, double weight) {
  taps.source.push_back(source);
  taps.weight.push_back(weight);
}

void end_output(ResizeWeights& taps) {
  taps.first.push_back(static_cast<std::int64_t>(taps.source.size()));
}

ResizeWeights average_taps(const Pooling& pool, std::size_t side, std::int64_t n) {
  ResizeWeights taps;
  const std::int64_t k = pool.options.kernel[side];
  for (std::int64_t i = 0; i < pool.size[side]; ++i) {
    const std::int64_t start = i * pool.options.stride[side] - pool.options.padding[side];
    for (std::int64_t j = std::max<std::int64_t>(start, 0); j < std::min(start + k, n); ++j)
      add_tap(taps, j, 1 / static_cast<double>(k));
    end_output(taps);
  }
  return taps;
}

// As PyTorch chooses them: nearest rounds down in float32; bilinear puts pixels' centres at halves.
ResizeWeights interpolation_taps(std::int64_t n, std::int64_t outputs, Interpolation mode) {
  ResizeWeights taps;
  const double scale = static_cast<double>(n) / static_cast<double>(outputs);
  for (std::int64_t i = 0; i < outputs; ++i) {
    if (mode == Interpolation::nearest) {
      const float place = static_cast<float>(i) * static_cast<float>(scale);
      add_tap(taps, std::min(static_cast<std::int64_t>(place), n - 1), 1);
    } else {
      const double place = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
      const std::int64_t below = std::min(static_cast<std::int64_t>(place), n - 1);
      const double weight = place - static_cast<double>(below);
      if (below + 1 < n) {
        add_tap(taps, below, 1 - weight);
        add_tap(taps, below + 1, weight);
      } else {
        add_tap(taps, below, 1);
      }
    }
    end_output(taps);
  }
  return taps;
}

Tensor resample(std::string_view operation, const Tensor& x, const ResizeWeights& rows,
                const ResizeWeights& columns, const Shape& shape) {
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  use(operation, x.device(), kernels(x.device()).resample)(x, rows, columns, out);
  return out;
}

void check_gradient(std::string_view operation, const Tensor& grad, const Shape& expected) {
  check_floating(operation, grad);
  check(grad.shape() == expected, "{}: gradient {}; it must have the output's shape {}", operation,
        grad.shape(), expected);
}

void check_interpolation(const Shape& x, std::int64_t height, std::int64_t width) {
  check(x.rank() == 4 && x[1] > 0 && x[2] > 0 && x[3] > 0 && height > 0 && width > 0,
        "interpolate: input {} to height {} and width {}; it must be an image (N, H, W, C) and no "
        "side zero",
        x, height, width);
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  check_image("max_pool2d", x);
  const Pooling pool = pooling("max_pool2d", x.shape(), options);
  Tensor out = Tensor::empty(resized(x.shape(), pool.size), x.dtype(), x.device());
  use("max_pool2d", x.device(), kernels(x.device()).max_pool2d)(x, pool.options, out);
  return out;
}

Tensor max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options) {
  common_operands("max_pool2d_backward", {&grad, &x});
  const Pooling pool = pooling("max_pool2d_backward", x.shape(), options);
  check_gradient("max_pool2d_backward", grad, resized(x.shape(), pool.size));
  Tensor dx = zeros(x.shape(), x);
  use("max_pool2d_backward", x.device(), kernels(x.device()).max_pool2d_backward)(grad, x,
                                                                                  pool.options, dx);
  return dx;
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) {
  check_image("avg_pool2d", x);
  const Pooling pool = pooling("avg_pool2d", x.shape(), options);
  const Shape out = resized(x.shape(), pool.size);  // first: it refuses what overflows
  return resample("avg_pool2d", x, average_taps(pool, 0, x.size(1)),
                  average_taps(pool, 1, x.size(2)), out);
}

Tensor avg_pool2d_backward(const Tensor& grad, const Shape& x_shape, const Pool2dOptions& options) {
  const Pooling pool = pooling("avg_pool2d_backward", x_shape, options);
  check_gradient("avg_pool2d_backward", grad, resized(x_shape, pool.size));
  return resample("avg_pool2d_backward", grad,
                  transposed(average_taps(pool, 0, x_shape[1]), x_shape[1]),
                  transposed(average_taps(pool, 1, x_shape[2]), x_shape[2]), x_shape);
}

Tensor interpolate(const Tensor& x, std::int64_t height, std::int64_t width, Interpolation mode) {
  check_floating("interpolate", x);
  check_interpolation(x.shape(), height, width);
  const Shape out = resized(x.shape(), {height, width});  // first: it refuses what overflows
  return resample("interpolate", x, interpolation_taps(x.size(1), height, mode),
                  interpolation_taps(x.size(2), width, mode), out);
}

Tensor interpolate_backward(const Tensor& grad, const Shape& x_shape, Interpolation mode) {
  check_image("interpolate_backward", grad);
  const std::int64_t height = grad.size(1), width = grad.size(2);
  check_interpolation(x_shape, height, width);
  check_gradient("interpolate_backward", grad, resized(x_shape, {height, width}));
  return resample("interpolate_backward", grad,
                  transposed(interpolation_taps(x_shape[1], height, mode), x_shape[1]),
                  transposed(interpolation_taps(x_shape[2], width, mode), x_shape[2]), x_shape);
}

Tensor pixel_unshuffle(const Tensor& x, std::int64_t r) {
  check_defined("pixel_unshuffle", x);
  check(x.rank() == 4 && r >= 1 && x.size(1) % r == 0 && x.size(2) % r == 0,
        "pixel_unshuffle: input {} by {}; height and width of (N, H, W, C) must be multiples",
        x.shape(), r);
  check(x.size(3) <= Shape::max_numel / r / r, "pixel_unshuffle: input {} by {}; too many channels",
        x.shape(), r);
  const std::int64_t n = x.size(0), h = x.size(1) / r, w = x.size(2) / r, c = x.size(3);
  return permute(x.reshape(Shape{n, h, r, w, r, c}), {0, 1, 3, 5, 2, 4})
      .reshape(Shape{n, h, w, c * r * r});
}

Tensor pixel_shuffle(const Tensor& x, std::int64_t r) {
  check_defined("pixel_shuffle", x);
  check(x.rank() == 4 && r >= 1 && x.size(3) % r == 0 && x.size(3) / r % r == 0,
        "pixel_shuffle: input {} by {}; the channels of (N, H, W, C) must be a multiple of its "
        "square",
        x.shape(), r);
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3) / (r * r);
  return permute(x.reshape(Shape{n, h, w, c, r, r}), {0, 1, 4, 2, 5, 3})
      .reshape(Shape{n, h * r, w * r, c});
}

}  // namespace ebb
