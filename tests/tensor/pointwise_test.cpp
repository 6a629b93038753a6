#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>

#include <cmath>
#include <limits>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

TEST_CASE("binary functions broadcast by NumPy's rule") {
  const Tensor column = Tensor::from<float>({1, 2, 3}, {3, 1});
  const Tensor row = Tensor::from<float>({10, 20}, {2});
  const Tensor y = add(column, row);
  CHECK(y.shape() == Shape{3, 2});
  CHECK(values(y) == std::vector<double>{11, 21, 12, 22, 13, 23});
  CHECK(values(sub(row, column)) == std::vector<double>{9, 19, 8, 18, 7, 17});
  CHECK(values(mul(column, Tensor::scalar(2))) == std::vector<double>{2, 4, 6});
  CHECK(values(div(Tensor::scalar(6), column)) == std::vector<double>{6, 3, 2});
}

TEST_CASE("every pattern of broadcasting agrees with indexing by hand") {
  const Shape full{2, 3, 4, 5};
  for (int pattern = 0; pattern < 256; ++pattern) {
    Shape sa = full, sb = full;
    for (int d = 0; d < 4; ++d) {
      if (pattern >> d & 1) sa.set(d, 1);
      if (pattern >> (d + 4) & 1) sb.set(d, 1);
    }
    const auto counted = [](const Shape& shape, double scale) {
      return mul(Tensor::arange(shape.numel(), DType::float32).reshape(shape), scale);
    };
    const Tensor a = counted(sa, 1), b = counted(sb, 1000);
    const Tensor y = add(a, b);
    const auto sum = values(y), as = values(a), bs = values(b);
    const auto at = [](const Shape& shape, const std::array<std::int64_t, 4>& i) {
      std::size_t place = 0;
      for (int d = 0; d < 4; ++d)
        place = place * static_cast<std::size_t>(shape[d]) +
                static_cast<std::size_t>(shape[d] == 1 ? 0 : i[static_cast<std::size_t>(d)]);
      return place;
    };
    const Shape out = y.shape();
    bool same = true;
    for (std::int64_t i = 0; i < out[0]; ++i)
      for (std::int64_t j = 0; j < out[1]; ++j)
        for (std::int64_t k = 0; k < out[2]; ++k)
          for (std::int64_t l = 0; l < out[3]; ++l)
            same = same && sum[at(out, {i, j, k, l})] ==
                               as[at(sa, {i, j, k, l})] + bs[at(sb, {i, j, k, l})];
    CAPTURE(sa.str());
    CAPTURE(sb.str());
    CHECK(same);
  }
}

TEST_CASE("NaN passes through maximum, minimum, clamp and relu") {
  const Tensor x = Tensor::from<double>({nan, 1, nan, -2}),
               y = Tensor::from<double>({0, nan, 1, 3});
  for (const Tensor& z : {maximum(x, y), minimum(x, y)}) {
    CHECK(std::isnan(values(z)[0]));
    CHECK(std::isnan(values(z)[1]));
    CHECK(std::isnan(values(z)[2]));
  }
  CHECK(values(maximum(x, y))[3] == 3);
  CHECK(values(minimum(x, y))[3] == -2);
  CHECK(std::isnan(values(relu(x))[0]));
  CHECK(std::isnan(values(clamp(x, 0, 1))[0]));
  CHECK(values(clamp(x, 0, 1))[3] == 0);
}

TEST_CASE("integers") {
  const Tensor a = Tensor::from<std::int64_t>({-3, 0, 7}),
               b = Tensor::from<std::int64_t>({2, 0, -7});
  CHECK(values(add(a, b)) == std::vector<double>{-1, 0, 0});
  CHECK(values(mul(a, b)) == std::vector<double>{-6, 0, -49});
  CHECK(values(maximum(a, b)) == std::vector<double>{2, 0, 7});
  CHECK(values(less(a, b)) == std::vector<double>{1, 0, 0});
  CHECK(values(equal(a, b)) == std::vector<double>{0, 1, 0});
  CHECK(values(abs(a)) == std::vector<double>{3, 0, 7});
  CHECK(values(neg(a)) == std::vector<double>{3, 0, -7});
  CHECK(values(clamp(a, -1, 5)) == std::vector<double>{-1, 0, 5});
  CHECK(values(where(a, b, a)) == std::vector<double>{2, 0, -7});
  CHECK_THROWS_WITH(div(a, b), doctest::Contains("div: needs float32 or float64"));
  CHECK_THROWS_WITH(exp(a), doctest::Contains("exp: needs float32 or float64"));
  CHECK_THROWS_WITH(add(a, 0.5), doctest::Contains("0.5"));
}

TEST_CASE("where takes a condition of any dtype") {
  const Tensor a = Tensor::ones({2, 2}), b = Tensor::zeros({1});
  const Tensor small = Tensor::from<double>({1e-300, 0}, {2, 1});
  CHECK(values(where(small, a, b)) == std::vector<double>{1, 1, 0, 0});
  CHECK(values(where(Tensor::from<std::int64_t>({0, 5}), a, b)) == std::vector<double>{0, 1, 0, 1});
  CHECK(values(where(Tensor::from<float>({0, 5}), a, b)) == std::vector<double>{0, 1, 0, 1});
}

TEST_CASE("in place") {
  Tensor a = Tensor::from<float>({1, 2, 3});
  const auto version = a.version();
  add_(a, Tensor::from<float>({1, 1, 2}), -2);
  CHECK(values(a) == std::vector<double>{-1, 0, -1});
  mul_(a, 3);
  CHECK(values(a) == std::vector<double>{-3, 0, -3});
  CHECK(a.version() == version + 2);
  CHECK(values(axpby(2, a, 1, a)) == std::vector<double>{-9, 0, -9});
}

TEST_CASE("mismatched operands are errors that say what differs") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({2, 4});
  CHECK_THROWS_WITH(add(a, b), doctest::Contains("add: shapes (2, 3) and (2, 4)"));
  CHECK_THROWS_WITH(axpby(1, a, 1, b), doctest::Contains("axpby: shapes (2, 3) and (2, 4)"));
  CHECK_THROWS_WITH(mul(a, a.to(DType::float64)), doctest::Contains("float32 and float64"));
  CHECK_THROWS_WITH(mul(a, a.to(Device::test)), doctest::Contains("cpu and test"));
  CHECK_THROWS_WITH(mul(a, Tensor()), doctest::Contains("mul: an operand is undefined"));
  CHECK_THROWS_WITH(exp(Tensor()), doctest::Contains("exp: the operand is undefined"));
}

TEST_CASE("relative_error and all_finite") {
  const Tensor a = Tensor::from<float>({1, -4}), b = Tensor::from<float>({1, -5});
  CHECK(relative_error(a, b) == doctest::Approx(0.2));
  CHECK(relative_error(a, a) == 0);
  CHECK(relative_error(Tensor::zeros({0}), Tensor::zeros({0})) == 0);
  CHECK(relative_error(a, Tensor::zeros({2})) == inf);
  CHECK(std::isnan(relative_error(a, Tensor::from<float>({1, NAN}))));
  CHECK(std::isnan(relative_error(Tensor::from<float>({NAN, 1}), a)));
  CHECK(all_finite(a));
  CHECK(all_finite(Tensor::zeros({0})));
  CHECK_FALSE(all_finite(Tensor::from<float>({1, NAN})));
  CHECK_FALSE(all_finite(Tensor::from<float>({-INFINITY, 1})));
  CHECK_FALSE(all_finite(Tensor::from<float>({INFINITY, 1})));
}

}  // namespace
}  // namespace ebb
