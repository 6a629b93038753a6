#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// The same image in two channels, the second one negated.
Tensor two_channels(const Tensor& image) {
  const Tensor one = image.reshape({1, image.size(0), image.size(1), 1});
  return cat({one, neg(one)}, 3);
}

const Tensor image = numbers({5, 6}, DType::float64, 0);

void check_near(const Tensor& y, std::int64_t height, std::int64_t width,
                const std::vector<double>& expected) {
  CHECK(y.shape() == Shape{1, height, width, 2});
  const Tensor want = two_channels(Tensor::from(expected, {height, width}));
  CHECK(amax(abs(y - want)).item() < 1e-9);
}

// The values below are PyTorch's for this image.
TEST_CASE("interpolate") {
  const Tensor x = two_channels(image);
  check_near(interpolate(x, 3, 8, Interpolation::nearest), 3, 8,
             {0.0,          0.0,          0.361615432,  0.995880845,  -0.187294664, -0.187294664,
              -0.35525356,  0.173889485,  0.684289846,  0.684289846,  -0.659050746, -0.993039586,
              -0.992213893, -0.992213893, -0.643538133, 0.708734561,  0.478968397,  0.478968397,
              0.998632028,  -0.338333394, -0.191625416, -0.191625416, -0.009218615, 0.814145154});
  check_near(interpolate(x, 3, 8, Interpolation::bilinear), 3, 8,
             {0.228096615,  0.098907089,  0.138211121,  0.234343812,  -0.357037518, -0.452943164,
              -0.15002857,  0.352171177,  0.126733384,  -0.138281234, -0.283431812, -0.102793274,
              0.842456019,  0.659289587,  0.327637054,  0.115590812,  -0.164806044, -0.246158158,
              -0.460322405, -0.687925722, -0.400015834, 0.228212666,  0.424057659,  0.17022246});
  check_near(interpolate(x, 7, 4, Interpolation::bilinear), 7, 4,
             {0.090403858,  0.837314491,  -0.229284388, 0.041603724,  0.237861481,  -0.160889433,
              -0.615433282, 0.229639532,  0.254818366,  -0.72669416,  -0.399685145, 0.322021508,
              0.020727537,  -0.269573619, 0.863714376,  0.200409309,  0.440839514,  -0.079943919,
              0.142472882,  0.491762811,  0.090592822,  -0.403681332, -0.129251399, 0.391952136,
              -0.600462487, -0.936467056, -0.10688831,  0.103482703});
}

const Pool2dOptions odd_windows{{3, 2}, {2, 1}, {1, 1}};

TEST_CASE("average and maximum over windows") {
  const Tensor x = two_channels(image);
  check_near(avg_pool2d(x, odd_windows), 3, 7,
             {0.114048308, 0.064475755, -0.049099009, -0.196111216, -0.363050042, -0.019361274,
              0.147104008, 0.214998604, 0.22204715,   -0.258236088, -0.295924924, -0.063622282,
              0.24009643,  0.273078421, -0.001287478, 0.008189501,  -0.202695146, -0.316148623,
              0.039344979, 0.253722521, 0.110401044});
  const Tensor y = max_pool2d(x, odd_windows);
  CHECK(y.shape() == Shape{1, 3, 7, 2});
  const Tensor want = Tensor::from<double>(
      {0.684289846, 0.684289846, 0.995880845, 0.995880845, -0.187294664, 0.708734561,
       0.708734561, 0.684289846, 0.998632028, 0.998632028, 0.999997568,  0.999997568,
       0.814145154, 0.814145154, 0.478968397, 0.998632028, 0.998632028,  -0.191625416,
       0.869147474, 0.869147474, 0.814145154});
  CHECK(amax(abs(slice(y, 3, 0, 1).reshape({21}) - want)).item() < 1e-9);
}

TEST_CASE("the first maximum of a window gets the gradient") {
  const Tensor x = Tensor::from<double>({1, 3, 3, 3, 0, 2, 0, NAN}, {1, 2, 4, 1});
  const Tensor g = Tensor::from<double>({1, 10}, {1, 1, 2, 1});
  CHECK(values(max_pool2d_backward(g, x)) == std::vector<double>{0, 1, 0, 0, 0, 0, 0, 10});
  CHECK(std::isnan(values(max_pool2d(x))[1]));
  // Overlapping windows add up.
  const Tensor row = Tensor::from<double>({1, 5, 2}, {1, 1, 3, 1});
  CHECK(values(max_pool2d_backward(Tensor::ones({1, 1, 2, 1}, DType::float64), row,
                                   {{1, 2}, {1, 1}, {0, 0}})) == std::vector<double>{0, 2, 0});
}

TEST_CASE("backward is the adjoint: <A x, g> = <x, A' g>") {
  const Tensor x = numbers({2, 7, 6, 3}, DType::float64);
  const auto check_adjoint = [&](const Tensor& y, const auto& backward) {
    const Tensor g = numbers(y.shape(), DType::float64, 50);
    const Tensor dx = backward(g);
    CHECK(dx.shape() == x.shape());
    CHECK(sum(y * g).item() == doctest::Approx(sum(x * dx).item()).epsilon(1e-12));
  };
  for (const Pool2dOptions& options : {odd_windows, Pool2dOptions{}, Pool2dOptions{{2, 3}, {3, 2}}})
    check_adjoint(avg_pool2d(x, options),
                  [&](const Tensor& g) { return avg_pool2d_backward(g, x.shape(), options); });
  for (const Interpolation mode : {Interpolation::nearest, Interpolation::bilinear})
    for (const Pair& size : {Pair{14, 12}, Pair{3, 11}, Pair{1, 1}, Pair{7, 6}})
      check_adjoint(interpolate(x, size[0], size[1], mode),
                    [&](const Tensor& g) { return interpolate_backward(g, x.shape(), mode); });
}

TEST_CASE("pixel_shuffle keeps PyTorch's order of channels") {
  const Tensor x = Tensor::arange(16).reshape({1, 2, 2, 4});
  const Tensor y = pixel_shuffle(x, 2);
  CHECK(y.shape() == Shape{1, 4, 4, 1});
  CHECK(values(y) == std::vector<double>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15});
  CHECK(values(pixel_unshuffle(y, 2)) == values(x));
  const Tensor z = numbers({2, 6, 9, 2});
  CHECK(values(pixel_shuffle(pixel_unshuffle(z, 3), 3)) == values(z));
}

TEST_CASE("what cannot be pooled is an error") {
  const Tensor x = Tensor::zeros({1, 4, 5, 2});
  CHECK_THROWS_WITH(max_pool2d(Tensor::zeros({4, 5})),
                    doctest::Contains("max_pool2d: input (4, 5)"));
  CHECK_THROWS_WITH(avg_pool2d(x, {{7, 2}}), doctest::Contains("kernel 7 is larger"));
  CHECK_THROWS_WITH(avg_pool2d(x, {{2, 2}, {1, 1}, {2, 0}}), doctest::Contains("padding 2"));
  CHECK_THROWS_WITH(interpolate(x, 0, 3, Interpolation::nearest), doctest::Contains("height 0"));
  CHECK_THROWS_WITH(pixel_unshuffle(x, 2),
                    doctest::Contains("pixel_unshuffle: input (1, 4, 5, 2)"));
  CHECK_THROWS_WITH(avg_pool2d_backward(x, x.shape()), doctest::Contains("output's shape"));
}

}  // namespace
}  // namespace ebb
