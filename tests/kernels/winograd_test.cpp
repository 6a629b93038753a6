// Winograd's convolution against the plain loops in float64.
#include <doctest/doctest.h>
#include <ebb/tensor/cpu/conv/conv_kernels.h>
#include <ebb/tensor/cpu/conv/winograd/tiling.h>
#include <ebb/tensor/cpu/conv/winograd/winograd.h>
#include <ebb/tensor/reference/reference.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/worse.h"

using namespace ebb;
using namespace ebb::cpu;

namespace {

std::vector<double> numbers(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = normal(engine);
  return values;
}

std::vector<float> single(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

// The largest difference in units of the reference's RMS.
double distance(const std::vector<float>& got, const std::vector<double>& want) {
  double worst = 0, squares = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double difference = std::abs(got[i] - want[i]);
    worst = test::worse_of(worst, difference);
    squares += want[i] * want[i];
  }
  return worst / std::sqrt(squares / static_cast<double>(want.size()));
}

void compare(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t ci, std::int64_t co,
             Pair padding, double tolerance) {
  INFO("n " << n << " h " << h << " w " << w << " ci " << ci << " co " << co << " padding "
            << padding[0] << "," << padding[1]);
  const ConvGeometry g{
      n,      h,       w,      ci, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, co, {3, 3},
      {1, 1}, padding, {1, 1}, 1};
  REQUIRE(winograd::fits(g));
  const auto x = numbers(n * h * w * ci, 1), weight = numbers(co * ci * 9, 2);
  const auto dy = numbers(n * g.ho * g.wo * co, 3);
  const auto bias = numbers(co, 4), back_bias = numbers(ci, 5);
  std::vector<double> want(dy.size()), want_dx(x.size()), want_dw(weight.size());
  std::vector<float> got(dy.size()), dx(x.size()), dw(weight.size());

  reference::conv_forward(g, x.data(), weight.data(), bias.data(), Activation::silu, want.data());
  winograd::forward(g, single(x).data(), single(weight).data(), single(bias).data(),
                    Activation::silu, got.data());
  CHECK(distance(got, want) <= tolerance);

  reference::conv_backward_data(g, dy.data(), weight.data(), back_bias.data(), Activation::relu,
                                want_dx.data());
  winograd::backward_data(g, single(dy).data(), single(weight).data(), single(back_bias).data(),
                          Activation::relu, dx.data());
  CHECK(distance(dx, want_dx) <= tolerance);

  reference::conv_backward_weights(g, dy.data(), x.data(), want_dw.data());
  std::vector<double> want_db(bias.size());
  for (std::size_t i = 0; i < dy.size(); ++i) want_db[i % want_db.size()] += dy[i];
  std::vector<float> db(bias.size());
  winograd::backward_weights(g, single(dy).data(), single(x).data(), dw.data(), db.data());
  CHECK(distance(dw, want_dw) <= tolerance);
  CHECK(distance(db, want_db) <= tolerance);
  winograd::backward_weights(g, single(dy).data(), single(x).data(), dw.data(), nullptr);
  CHECK(distance(dw, want_dw) <= tolerance);
}

}  // namespace

TEST_CASE("winograd: sizes 1 to 17, odd channels, every padding") {
  for (std::int64_t size = 1; size <= 17; ++size)
    compare(1 + size % 3, size, 18 - size, 1 + size * 5 % 19, 1 + size * 7 % 17, {1, 1}, 2e-5);
  for (std::int64_t channels : {7, 8, 15, 16, 17, 31, 32, 33, 48, 65})
    compare(2, 6, 7, channels, 70 - channels, {1, 1}, 2e-5);
  for (std::int64_t padding : {0, 1, 2}) compare(2, 9, 8, 16, 24, {padding, 2 - padding}, 2e-5);
  compare(3, 37, 29, 8, 16, {1, 1}, 2e-5);
}

TEST_CASE("winograd: tiles cover every output once, with the fewest points") {
  // 7 = 4 + 3, 14 = 4 + 4 + 3 + 3; 9 is less as three threes than as three fours, 16 is four fours.
  for (const auto& [size, points] :
       {std::pair{7, 11}, {14, 22}, {9, 15}, {16, 24}, {28, 42}, {3, 5}, {1, 5}, {5, 10}, {4, 6}})
    CHECK(std::pair(size, static_cast<int>(winograd::Axis(size).points())) ==
          std::pair(size, points));
  for (std::int64_t height = 6; height <= 17; ++height) {
    const std::int64_t n = 3, width = 23 - height;
    const winograd::Tiling tiling(n, height, width);
    std::vector<int> covered(static_cast<std::size_t>(n * height * width));
    for (const winograd::Block& block : tiling.blocks(5)) {
      CHECK(block.count <= 5);
      for (std::int64_t tile = block.first; tile < block.first + block.count; ++tile) {
        const winograd::Place place = tiling.place(block.kind, tile);
        for (std::int64_t i = 0; i < 4 - block.kind / 2; ++i)
          for (std::int64_t j = 0; j < 4 - block.kind % 2; ++j)
            ++covered.at(static_cast<std::size_t>((place.image * height + place.row + i) * width +
                                                  place.column + j));
      }
    }
    CHECK(covered == std::vector<int>(covered.size(), 1));
  }
}

TEST_CASE("winograd: within 2e-5 of the output's RMS at 64 to 256 channels") {
  compare(1, 12, 12, 64, 64, {1, 1}, 2e-5);
  compare(1, 12, 9, 128, 96, {1, 1}, 2e-5);
  compare(1, 8, 8, 256, 256, {1, 1}, 2e-5);
}

TEST_CASE("winograd: how far a large pixel and a NaN reach") {
  const std::int64_t size = 16, channels = 32;
  const auto weights = numbers(channels * channels * 9, 4);
  const Tensor w = Tensor::from(single(weights), {channels, channels, 3, 3});
  const double largest_weight = 4.5;  // of 9216 normal numbers
  const auto run = [&](const Tensor& x, bool exact) {
    set_exact_convolutions(exact);
    const Tensor y = conv2d(x, w, {}, {.padding = {1, 1}});
    set_exact_convolutions(false);
    return y.to_vector<float>();
  };
  const Tensor calm =
      Tensor::from(single(numbers(size * size * channels, 3)), {1, size, size, channels});
  const std::vector<float> calm_fast = run(calm, false);
  double worst = 0;
  for (const std::int64_t row : {0, 5, 8, 15})
    for (const std::int64_t column : {0, 6, 11})
      for (const float value : {1e6f, std::numeric_limits<float>::quiet_NaN()}) {
        Tensor x = calm.clone();
        x.mutable_data<float>()[(row * size + column) * channels + 7] = value;
        const std::vector<float> with = run(x, false), exact = run(x, true),
                                 without = run(calm, true);
        for (std::int64_t i = 0; i < size; ++i)
          for (std::int64_t j = 0; j < size; ++j) {
            const std::int64_t away = std::max(std::abs(i - row), std::abs(j - column));
            for (std::int64_t c = 0; c < channels; ++c) {
              const auto at = static_cast<std::size_t>((i * size + j) * channels + c);
              if (away > 1) CHECK(exact[at] == without[at]);   // exactly as far as the kernel
              if (away > 4) CHECK(with[at] == calm_fast[at]);  // exactly as far as its tiles
              if (away > 1 && away <= 4 && std::isfinite(value))
                worst = test::worse_of(worst, std::abs(double(with[at]) - without[at]));
            }
          }
      }
  INFO("worst " << worst);
  CHECK(worst > 0);
  CHECK(worst < 2e-6 * 1e6 * largest_weight);
}
