// What single operators promise beyond value and gradient.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>

#include <cmath>

namespace ebb::test {
namespace {

using Values = std::vector<double>;

Values gradient(const Variable& x, const Variable& y) {
  sum(y).backward();
  return x.grad().to_vector<double>();
}

}  // namespace

TEST_CASE("ties share a gradient, except in pooling, where the first takes it") {
  const Variable x(Tensor::from(Values{2, 2, 1, 2}, {1, 2, 2, 1}), true);
  SUBCASE("amax") { CHECK(gradient(x, amax(x)) == Values{1 / 3.0, 1 / 3.0, 0, 1 / 3.0}); }
  SUBCASE("max_pool2d") { CHECK(gradient(x, max_pool2d(x)) == Values{1, 0, 0, 0}); }
}

TEST_CASE("std of equal elements has gradient zero") {
  const Variable x(Tensor::from(Values{2, 2, 2}), true);
  CHECK(gradient(x, std(x)) == Values{0, 0, 0});
}

TEST_CASE("batch_norm hands out the mean and biased variance of each channel") {
  const Tensor x = PhiloxGenerator(3).randn({4, 3, 2, 5}, DType::float64) * 3 + 7;
  BatchStatistics statistics;
  batch_norm(x, {}, {}, 1e-5, &statistics);
  CHECK(relative_error(statistics.mean, mean(x, {0, 1, 2})) < 1e-14);
  CHECK(relative_error(statistics.var, var(x, {0, 1, 2}, /*unbiased=*/false)) < 1e-12);
}

TEST_CASE("dropout of everything is zero") {
  const Variable x(Tensor::from(Values{2, 3}), true);
  CHECK(gradient(x, dropout(x, Tensor::zeros({2}), 1)) == Values{0, 0});
}

TEST_CASE("a fused relu is the relu after, and leaves the caller's cotangent alone") {
  PhiloxGenerator generator(5);
  const Tensor x = generator.randn({2, 5, 6, 3}), weight = generator.randn({3, 3, 2, 2});
  const Tensor bias = generator.randn({3});
  const Tensor cotangent = generator.randn({2, 6, 7, 3});
  const auto values = [](const Tensor& t) { return t.to_vector<double>(); };
  const auto gradients = [&](bool transposed, bool fused) {
    const Variable v(x, true), w(weight, true), b(bias, true);
    const Conv2dOptions options{.padding = {transposed ? 0 : 1, transposed ? 0 : 1}};
    const auto conv = [&](const Variable& image, Activation activation) {
      return transposed ? conv_transpose2d(image, w, b, options, activation)
                        : conv2d(image, w, b, options, activation);
    };
    const Variable y = fused ? conv(v, Activation::relu) : relu(conv(v, Activation::none));
    const auto before = values(cotangent);
    y.backward(cotangent, /*retain_graph=*/true);
    y.backward(cotangent);
    CHECK(values(cotangent) == before);
    return std::array{v.grad(), w.grad(), b.grad()};
  };
  for (const bool transposed : {false, true}) {
    const auto fused = gradients(transposed, true), apart = gradients(transposed, false);
    for (std::size_t i = 0; i < 3; ++i) CHECK(relative_error(fused[i], apart[i]) < 1e-6);
  }
}

TEST_CASE("a fused silu is the same with and without a graph") {
  PhiloxGenerator generator(4);
  const Tensor x = generator.randn({1, 5, 5, 3}), weight = generator.randn({4, 3, 3, 3});
  const Tensor fused = conv2d(x, weight, {}, {}, Activation::silu);
  const Variable recorded = conv2d(Variable(x, true), weight, {}, {}, Activation::silu);
  CHECK(relative_error(fused, recorded.value()) < 1e-6);
}

TEST_CASE("attention with a mask: a query sees the keys that are left for it") {
  PhiloxGenerator generator(4);
  const auto normal = [&](const Shape& shape) { return generator.randn(shape, DType::float64); };
  const Tensor q = normal({2, 4, 3}), k = normal({2, 5, 3}), v = normal({2, 5, 2});
  const auto attend = [&](const AttentionMask& mask) {
    return scaled_dot_product_attention(q, Variable(k), Variable(v), mask, 0.7).value();
  };
  const auto row = [&](std::int64_t i, std::int64_t first, std::int64_t last) -> Tensor {
    return scaled_dot_product_attention(q.slice(1, i, i + 1), k.slice(1, first, last),
                                        v.slice(1, first, last), 0.7);
  };
  const Tensor causal = attend({.causal = true});
  for (std::int64_t i = 0; i < 4; ++i)
    CHECK(relative_error(causal.slice(1, i, i + 1), row(i, 0, i + 1)) < 1e-14);
  // Keys 1 to 3, from a mask of one row for all; as numbers to be added.
  const Tensor chosen = Tensor::from<std::int64_t>({0, 1, 1, 1, 0});
  const Tensor added = where(chosen, Tensor::zeros({5}, DType::float64),
                             Tensor::full({5}, -INFINITY, DType::float64));
  for (const Tensor& mask : {chosen, added})
    for (std::int64_t i = 0; i < 4; ++i)
      CHECK(relative_error(attend({mask}).slice(1, i, i + 1), row(i, 1, 4)) < 1e-14);
  // Both: query 0 has no key left.
  const Tensor both = attend({chosen, true});
  CHECK(all(equal(both.select(1, 0), 0)));
  CHECK(relative_error(both.slice(1, 2, 3), row(2, 1, 3)) < 1e-14);
  const Variable x(q, true), y(k, true), z(v, true);
  sum(square(scaled_dot_product_attention(x, y, z, {chosen, true}))).backward();
  for (const Variable& leaf : {x, y, z}) CHECK(all_finite(leaf.grad()));
  CHECK(all(equal(x.grad().select(1, 0), 0)));
  CHECK(all(equal(z.grad().select(1, 4), 0)));
  CHECK_THROWS_WITH(attend({chosen.to(DType::float32)}), doctest::Contains("a mask of float32"));
}

}  // namespace ebb::test
