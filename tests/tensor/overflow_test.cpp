// Integers at their limits: int64 elements wrap around as PyTorch's do; sizes and options that do
// not fit are an Error that names them.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/ops/layout.h>

#include <cmath>
#include <functional>
#include <limits>

using namespace ebb;

namespace {

constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

std::vector<std::int64_t> wrapped(const Tensor& x) { return x.to_vector<std::int64_t>(); }
Tensor integers(const std::vector<std::int64_t>& values) { return Tensor::from(values); }

}  // namespace

TEST_CASE("int64: every function wraps around") {
  const Tensor x = integers({smallest, largest, -1, 3037000500});
  using V = std::vector<std::int64_t>;
  CHECK(wrapped(neg(x)) == V{smallest, -largest, 1, -3037000500});
  CHECK(wrapped(abs(x)) == V{smallest, largest, 1, 3037000500});
  CHECK(wrapped(square(x)) == V{0, 1, 1, -9223372036709301616});
  CHECK(wrapped(relu(x)) == V{0, largest, 0, 3037000500});
  CHECK(wrapped(add(x, x)) == V{0, -2, -2, 6074001000});
  CHECK(wrapped(sub(x, integers({1}))) == V{largest, largest - 1, -2, 3037000499});
  CHECK(wrapped(mul(x, x)) == wrapped(square(x)));
  CHECK(wrapped(add(x, 1)) == V{smallest + 1, smallest, 0, 3037000501});
  CHECK(wrapped(mul(x, -1)) == wrapped(neg(x)));
  CHECK(wrapped(maximum(x, neg(x))) == V{smallest, largest, 1, 3037000500});
  CHECK(wrapped(sum(integers({largest, 1, 1}))) == V{smallest + 1});
  CHECK(wrapped(sum(broadcast_to(integers({largest}), {100000}))) == V{-100000});
  CHECK(wrapped(cumsum(integers({largest, 1, -2}), 0)) == V{largest, smallest, largest - 1});
  CHECK(wrapped(cumprod(integers({largest, 2, 2}), 0)) == V{largest, -2, -4});
  CHECK(wrapped(amax(x)) == V{largest});
  CHECK(wrapped(amin(x)) == V{smallest});
  Tensor y = x.clone();
  mul_(y, 3);
  CHECK(wrapped(y) == wrapped(mul(x, 3)));
  // What int64 cannot hold becomes the nearest.
  CHECK(wrapped(Tensor::from<double>({1e19, -1e19, 9.3e18, NAN, INFINITY, -INFINITY})
                    .to(DType::int64)) == V{largest, smallest, largest, 0, largest, smallest});
  CHECK(wrapped(clamp(x, -1e30, 1e30)) == wrapped(x));
  CHECK_THROWS_AS(div(x, x), Error);
  CHECK_THROWS_AS(x / 2, Error);
  CHECK_THROWS_AS(mul(x, 0.5), Error);
}

TEST_CASE("sizes: what overflows is refused") {
  const Tensor image = Tensor::ones({1, 4, 4, 2}), weight = Tensor::ones({2, 2, 3, 3});
  const Tensor none = Tensor::zeros({0, 4, 4, 2});
  const Tensor vast = Tensor::zeros({0, largest, largest, 2}), row = Tensor::zeros({0, largest});
  for (const std::int64_t n :
       {std::int64_t{1} << 31, std::int64_t{1} << 62, largest - 1, largest}) {
    CAPTURE(n);
    const auto options = [&](int which) {
      Conv2dOptions result;
      (which == 0 ? result.padding : which == 1 ? result.stride : result.dilation)[1] = n;
      if (which == 3) result.output_padding[0] = n;
      if (which == 4) result.groups = n;
      return result;
    };
    for (const Tensor& x : {image, none})
      for (int which = 0; which < 5; ++which) {
        CAPTURE(which);
        CHECK_THROWS_AS(conv2d(x, weight, {}, options(which)), Error);
        CHECK_THROWS_AS(conv_transpose2d(x, weight, {}, options(which)), Error);
        CHECK_THROWS_AS(conv2d_backward_data(x, weight, 4, 4, options(which)), Error);
        CHECK_THROWS_AS(conv2d_backward_weights(x, x, {3, 3}, options(which)), Error);
        CHECK_THROWS_AS(conv_transpose2d_backward_data(x, weight, options(which)), Error);
      }
    CHECK_THROWS_AS(conv2d_backward_data(image, weight, n, 4), Error);
    CHECK_THROWS_AS(conv2d_backward_weights(image, image, {n, n}), Error);
    for (int which = 0; which < 3; ++which) {
      Pool2dOptions pool{{2, 2}, {1, 1}, {0, 0}};
      (which == 0 ? pool.kernel : which == 1 ? pool.padding : pool.stride)[0] = n;
      if (which == 2) continue;  // a long stride takes the first window alone
      CHECK_THROWS_AS(max_pool2d(image, pool), Error);
      CHECK_THROWS_AS(avg_pool2d(image, pool), Error);
    }
    CHECK(max_pool2d(image, {{2, 2}, {n, n}, {0, 0}}).shape() == Shape{1, 1, 1, 2});
    CHECK_THROWS_AS(interpolate(image, n, n, Interpolation::nearest), Error);
    CHECK_THROWS_AS(pixel_shuffle(image, n), Error);
    CHECK_THROWS_AS(pixel_unshuffle(image, n), Error);
    CHECK_THROWS_AS(pixel_unshuffle(Tensor::zeros({1, 0, 0, 4}), n), Error);
    CHECK_THROWS_AS(repeat_interleave(image, n, 1), Error);
    CHECK_THROWS_AS(pad(image, {n, n}), Error);
    CHECK_THROWS_AS(pad(image, {-n, -n}), Error);
    CHECK_THROWS_AS(Tensor::zeros({n, n}), Error);
    CHECK_THROWS_AS(image.reshape({n, n, 2}), Error);
    CHECK(slice(image, 1, 0, n, n).shape() == Shape{1, 1, 4, 2});
    CHECK(slice(image, 1, -n, n).shape() == image.shape());
    CHECK(split(image, n, 1).size() == 1);
  }
  CHECK_THROWS_AS(Tensor::arange(largest), Error);
  CHECK_THROWS_AS(Tensor::arange(-1), Error);
  CHECK_THROWS_AS(pad(image, {smallest, 0}), Error);
  CHECK(slice(image, 1, smallest, largest).shape() == image.shape());
  CHECK_THROWS_AS(conv2d(vast, weight, {}), Error);
  CHECK_THROWS_AS(conv_transpose2d(vast, weight, {}), Error);
  CHECK_THROWS_AS(max_pool2d(vast), Error);
  CHECK_THROWS_AS(pad(vast, {1, 1, 1, 1}), Error);
  // Sizes beside a 0 may be anything; what has no elements is computed as such.
  CHECK(exp(vast).numel() == 0);
  CHECK(add(vast, vast).numel() == 0);
  CHECK(permute(vast, {3, 2, 1, 0}).numel() == 0);
  CHECK(sum(row, {1}).shape() == Shape{0});
  CHECK(softmax(row, 1).numel() == 0);
  CHECK(flip(vast, {1, 2}).numel() == 0);
}
