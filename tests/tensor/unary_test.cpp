#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/threads.h>

#include <cmath>

#include "tests/tensor/numbers.h"
#include "tests/worse.h"

namespace ebb {
namespace {

struct Range {
  Unary function;
  double low, high, ulps;  // units of 2^-24 of the exact value
};

const std::vector<Range> ranges = {
    {Unary::exp, -87, 88.7, 2},      {Unary::log, 1e-30, 10, 2.5},  {Unary::log, 0.9, 1.1, 2.5},
    {Unary::log, 1, 3e38, 2.5},      {Unary::tanh, -10, 10, 4},     {Unary::tanh, -0.01, 0.01, 2.5},
    {Unary::sigmoid, -80, 80, 4},    {Unary::silu, -80, 80, 5},     {Unary::gelu, -3, 8, 16},
    {Unary::gelu_tanh, -3, 8, 16},   {Unary::softplus, -80, 19, 4}, {Unary::erf, -5, 5, 4},
    {Unary::erf, -1e-3, 1e-3, 3},    {Unary::sqrt, 1e-3, 100, 1},   {Unary::rsqrt, 1e-3, 100, 2.5},
    {Unary::reciprocal, 0.1, 10, 1}, {Unary::sin, -100, 100, 2},    {Unary::cos, -100, 100, 2},
    {Unary::square, -9, 9, 1},
};

Tensor spread(double low, double high, std::int64_t n) {
  const Tensor i = Tensor::arange(n, DType::float64);
  return add(mul(i, (high - low) / static_cast<double>(n - 1)), low).to(DType::float32);
}

TEST_CASE("float32 functions are right to a few units in the last place") {
  for (const Range& range : ranges) {
    const Tensor x = spread(range.low, range.high, 100003), wide = x.to(DType::float64);
    const auto y = values(unary(range.function, x)), exact = values(unary(range.function, wide));
    double worst = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      if (std::abs(exact[i]) > 1.2e-38)
        worst = test::worse_of(worst, std::abs(y[i] - exact[i]) / std::abs(exact[i]));
    CAPTURE(name_of(range.function));
    CHECK(worst * 16777216 < range.ulps);
    const Tensor g = Tensor::ones(x.shape()), wide_y = unary(range.function, wide);
    const Tensor slope = unary_backward(range.function, g, x, wide_y.to(DType::float32));
    const Tensor exact_slope =
        unary_backward(range.function, g.to(DType::float64), wide, wide_y).to(DType::float32);
    CHECK(relative_error(slope, exact_slope) < 1e-6);
  }
}

TEST_CASE("ends of the number line") {
  const double inf = INFINITY;
  const Tensor x = Tensor::from<float>({-INFINITY, INFINITY, 0, NAN, 1e30F, -1e30F});
  const auto check = [&](Unary function, const std::vector<double>& expected) {
    const auto y = values(unary(function, x));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(name_of(function));
      CAPTURE(i);
      CHECK((y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]))));
    }
  };
  check(Unary::exp, {0, inf, 1, NAN, inf, 0});
  check(Unary::log, {NAN, inf, -inf, NAN});
  check(Unary::tanh, {-1, 1, 0, NAN, 1, -1});
  check(Unary::sigmoid, {0, 1, 0.5, NAN, 1, 0});
  check(Unary::softplus, {0, inf, std::log(2.0F), NAN, 1e30F, 0});
  check(Unary::erf, {-1, 1, 0, NAN, 1, -1});
  check(Unary::relu, {0, inf, 0, NAN, 1e30F, 0});
}

TEST_CASE("an element's bits depend on its value alone, not on place, size or threads") {
  const Tensor x = mul(numbers({100000}), 6);
  for (int f = 0; f <= static_cast<int>(Unary::clamp); ++f) {
    const auto function = static_cast<Unary>(f);
    CAPTURE(name_of(function));
    const auto whole = values(unary(function, x, 0.3, 0.7));
    const auto back = values(unary_backward(function, x, x, x, 0.3, 0.7));
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    bool equal_bits = true;
    for (const std::int64_t start : {1, 5, 16, 99901})
      for (const std::int64_t count : {1, 2, 3, 7, 15, 17, 31, 33, 61, 97}) {
        const Tensor part = slice(x, 0, start, start + count);
        const auto y = values(unary(function, part, 0.3, 0.7));
        const auto dx = values(unary_backward(function, part, part, part, 0.3, 0.7));
        for (std::size_t i = 0; i < y.size(); ++i) {
          const std::size_t at = static_cast<std::size_t>(start) + i;
          equal_bits = equal_bits && same(y[i], whole[at]) && same(dx[i], back[at]);
        }
      }
    CHECK(equal_bits);
    const int before = thread_count();
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      const auto again = values(unary(function, x, 0.3, 0.7));
      CHECK(std::equal(again.begin(), again.end(), whole.begin(), same));
    }
    set_thread_count(before);
  }
}

TEST_CASE("integers take the functions that have sense for them") {
  const Tensor x = Tensor::from<std::int64_t>({-3, 4});
  CHECK(values(unary(Unary::square, x)) == std::vector<double>{9, 16});
  CHECK(values(unary(Unary::relu, x)) == std::vector<double>{0, 4});
  CHECK(values(clamp(x, -INFINITY, 1)) == std::vector<double>{-3, 1});
}

}  // namespace
}  // namespace ebb
