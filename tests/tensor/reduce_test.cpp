#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

TEST_CASE("sums over every choice of dimensions") {
  const Shape shape{3, 4, 5, 7};
  const Tensor x = numbers(shape);
  const auto xs = values(x);
  for (unsigned mask = 1; mask < 16; ++mask) {
    Dims dims;
    for (std::int64_t d = 0; d < 4; ++d)
      if (mask >> d & 1) dims.push_back(d - (d % 2 ? 4 : 0));
    const Shape kept = reduced_shape("sum", shape, dims, true);
    std::vector<double> expected(static_cast<std::size_t>(kept.numel()));
    std::vector<double> largest(expected.size(), -2);
    for (std::size_t i = 0; i < xs.size(); ++i) {
      std::size_t place = 0, rest = i;
      std::array<std::size_t, 4> index{};
      for (std::size_t d = 4; d-- > 0;) {
        index[d] = rest % static_cast<std::size_t>(shape[static_cast<std::int64_t>(d)]);
        rest /= static_cast<std::size_t>(shape[static_cast<std::int64_t>(d)]);
      }
      for (std::size_t d = 0; d < 4; ++d)
        place = place * static_cast<std::size_t>(kept[static_cast<std::int64_t>(d)]) +
                (mask >> d & 1 ? 0 : index[d]);
      expected[place] += xs[i];
      largest[place] = std::max(largest[place], xs[i]);
    }
    const Tensor y = sum(x, dims, true);
    CHECK(y.shape() == kept);
    CHECK(relative_error(y, Tensor::from(expected, kept).to(DType::float32)) < 2e-7);
    CHECK(values(amax(x, dims)) == largest);
    CHECK(values(amin(neg(x), dims)) == values(neg(amax(x, dims))));
  }
}

TEST_CASE("sums of long and wide arrays are correctly rounded") {
  for (const Shape& shape : {Shape{200003, 1}, Shape{70001, 3}, Shape{3001, 131}, Shape{5, 4099}}) {
    const Tensor x = numbers(shape);
    const Tensor exact = sum(x.to(DType::float64), {0}).to(DType::float32);
    CHECK(values(sum(x, {0})) == values(exact));
    const Tensor y = transpose(x, 0, 1);
    CHECK(values(sum(y, {1})) == values(exact));
  }
}

TEST_CASE("mean, var and std") {
  const Tensor x = Tensor::from<double>({1, 2, 3, 4, 6, 8}, {2, 3});
  CHECK(mean(x).item() == 4);
  CHECK(values(mean(x, {1})) == std::vector<double>{2, 6});
  CHECK(values(var(x, {-1}, false)) == std::vector<double>{2.0 / 3, 8.0 / 3});
  CHECK(values(var(x, {1})) == std::vector<double>{1, 4});
  CHECK(values(std(x, {1})) == std::vector<double>{1, 2});
  CHECK(var(x, {1}, true, true).shape() == Shape{2, 1});
  // A mean far from zero does not cost digits.
  const Tensor far = add(x, 1e9);
  CHECK(values(var(far, {1})) == std::vector<double>{1, 4});
  CHECK(std::isnan(var(Tensor::ones({1})).item()));
  CHECK_THROWS_WITH(mean(Tensor::arange(3)), doctest::Contains("mean: needs float"));
}

TEST_CASE("zero elements") {
  const Tensor none = Tensor::zeros({0, 3});
  CHECK(sum(none).item() == 0);
  CHECK(values(sum(none, {0})) == std::vector<double>{0, 0, 0});
  CHECK(sum(none, {1}).shape() == Shape{0});
  CHECK(std::isnan(mean(none).item()));
  CHECK_THROWS_WITH(amax(none), doctest::Contains("amax: shape (0, 3)"));
  CHECK(amax(none, {1}).numel() == 0);
  CHECK(softmax(none, 1).numel() == 0);
  CHECK(softmax(none, 0).numel() == 0);
  CHECK(cumsum(none, 0).numel() == 0);
  CHECK(sort(none, 0).numel() == 0);
}

TEST_CASE("a dimension named twice or out of range is an error") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH(sum(x, {0, -2}), doctest::Contains("sum: dimension -2 is named twice"));
  CHECK_THROWS_WITH(sum(x, {2}), doctest::Contains("sum: dimension 2"));
  CHECK_THROWS_WITH(sum_to(x, {2}), doctest::Contains("sum_to"));
}

TEST_CASE("NaN and infinity") {
  const Tensor x = Tensor::from<float>({1, NAN, 3, -INFINITY}, {2, 2});
  CHECK(std::isnan(amax(x).item()));
  CHECK(std::isnan(amin(x).item()));
  CHECK(std::isnan(values(amax(x, {0}))[1]));
  CHECK(values(amin(x, {1}))[1] == -INFINITY);
  CHECK(values(argmax(x, 1)) == std::vector<double>{1, 0});
}

TEST_CASE("argmax takes the first largest") {
  const Tensor x = Tensor::from<float>({1, 5, 5, 7, 0, 7}, {2, 3});
  CHECK(values(argmax(x, 1)) == std::vector<double>{1, 0});
  CHECK(values(argmax(x, 0)) == std::vector<double>{1, 0, 1});
}

TEST_CASE("sum_to undoes broadcasting") {
  const Tensor x = Tensor::ones({2, 3, 4});
  CHECK(values(sum_to(x, {3, 1})) == std::vector<double>{8, 8, 8});
  CHECK(sum_to(x, {}).item() == 24);
  CHECK(sum_to(x, {2, 3, 4}).shares_memory(x));
  CHECK(sum_to(Tensor::ones({2, 1}), {1, 1}).item() == 2);
}

TEST_CASE("running sums and products") {
  const Tensor x = Tensor::from<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(values(cumsum(x, 1)) == std::vector<double>{1, 3, 6, 4, 9, 15});
  CHECK(values(cumsum(x, 0)) == std::vector<double>{1, 2, 3, 5, 7, 9});
  CHECK(values(cumprod(x, 1)) == std::vector<double>{1, 2, 6, 4, 20, 120});
  CHECK(values(cumsum(Tensor::arange(4), 0)) == std::vector<double>{0, 1, 3, 6});
}

TEST_CASE("cumprod_backward is the product rule, zeros included") {
  for (const std::vector<double>& row : {std::vector<double>{2, -3, 0.5, 4},
                                         {2, 0, 0.5, 4},
                                         {0, 3, 2, 5},
                                         {2, 0, 3, 0},
                                         {1, 2, 3, 0}}) {
    const Tensor x = Tensor::from(row), g = Tensor::from<double>({1, -2, 3, 0.5});
    const auto gs = values(g);
    std::vector<double> expected(4);
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t i = k; i < 4; ++i) {
        double product = gs[i];
        for (std::size_t j = 0; j <= i; ++j)
          if (j != k) product *= row[j];
        expected[k] += product;
      }
    const Tensor dx = cumprod_backward(g, x, cumprod(x, 0), 0);
    for (std::size_t k = 0; k < 4; ++k) CHECK(values(dx)[k] == doctest::Approx(expected[k]));
  }
}

TEST_CASE("softmax and log_softmax") {
  const Tensor x = mul(numbers({3, 5, 7}, DType::float64), 4);
  for (const std::int64_t dim : {0, 1, 2}) {
    const Tensor e = exp(x), y = softmax(x, dim);
    CHECK(relative_error(y, e / sum(e, {dim}, true)) < 1e-14);
    CHECK(relative_error(log_softmax(x, dim), log(y)) < 1e-13);
    const Tensor g = numbers({3, 5, 7}, DType::float64);
    CHECK(relative_error(softmax_backward(g, y, dim), y * (g - sum(g * y, {dim}, true))) < 1e-13);
    CHECK(relative_error(log_softmax_backward(g, log(y), dim), g - y * sum(g, {dim}, true)) <
          1e-13);
  }
  CHECK(values(softmax(Tensor::from<float>({1000, 1000}), 0)) == std::vector<double>{0.5, 0.5});
  CHECK(values(softmax(Tensor::from<float>({-INFINITY, 2}), 0)) == std::vector<double>{0, 1});
}

TEST_CASE("sort and quantile") {
  const Tensor x = Tensor::from<float>({3, 1, 2, 9, 7, 8}, {2, 3});
  CHECK(values(sort(x, 1)) == std::vector<double>{1, 2, 3, 7, 8, 9});
  CHECK(values(sort(x, 0)) == std::vector<double>{3, 1, 2, 9, 7, 8});
  CHECK(values(sort(transpose(x, 0, 1), 0)) == std::vector<double>{1, 7, 2, 8, 3, 9});
  CHECK(std::isnan(values(sort(Tensor::from<float>({NAN, 1, 0}), 0))[2]));
  CHECK(values(argsort(x, 1)) == std::vector<double>{1, 2, 0, 1, 2, 0});
  CHECK(values(argsort(x, 0)) == std::vector<double>{0, 0, 0, 1, 1, 1});
  CHECK(values(argsort(Tensor::from<float>({NAN, 1, 0, 1}), 0)) == std::vector<double>{2, 1, 3, 0});
  CHECK(values(argsort(Tensor::scalar(3), 0)) == std::vector<double>{0});
  CHECK(values(quantile(x, 0.5, 1)) == std::vector<double>{2, 8});
  CHECK(values(quantile(x, 0.25, -1)) == std::vector<double>{1.5, 7.5});
  CHECK(values(quantile(x, 0, 1)) == std::vector<double>{1, 7});
  CHECK(values(quantile(x, 1, 1)) == std::vector<double>{3, 9});
  CHECK(quantile(x, 0.3, 0, true).shape() == Shape{1, 3});
  CHECK(std::isnan(quantile(Tensor::from<float>({NAN, 1, 0}), 0.1, 0).item()));
  CHECK_THROWS_WITH(quantile(x, 1.5, 0), doctest::Contains("quantile: q is 1.5"));
}

}  // namespace
}  // namespace ebb
