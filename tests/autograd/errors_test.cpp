// Operators refuse what does not fit, in words that name the operator and the values.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>

namespace ebb::test {
namespace {

using Indices = std::vector<std::int64_t>;

const Variable& x() {
  static const Variable result(Tensor::ones({5, 3}), true);
  return result;
}

}  // namespace

TEST_CASE("labels and indices out of range") {
  CHECK_THROWS_WITH_AS(embedding(x(), Tensor::from(Indices{1, 5})),
                       "embedding: index 5 is out of range; it must be in [0, 5)", Error);
  CHECK_THROWS_WITH_AS(embedding(x(), Tensor::from(Indices{-1})),
                       "embedding: index -1 is out of range; it must be in [0, 5)", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x(), Tensor::from(Indices{0, 1, 2, 3, 0})),
                       "cross_entropy: index 3 is out of range; it must be in [0, 3)", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x(), Tensor::ones({5})),
                       doctest::Contains("cross_entropy: the index is float32"), Error);
  CHECK_THROWS_WITH_AS(gather(x(), 1, Tensor::from(Indices{3}, {1, 1})),
                       doctest::Contains("gather: index 3"), Error);
}

TEST_CASE("shapes that do not fit") {
  const auto contains = [](const char* text) { return doctest::Contains(text); };
  CHECK_THROWS_WITH_AS(mse_loss(x(), Tensor::ones({5})),
                       contains("mse_loss: input (5, 3) and target (5,)"), Error);
  CHECK_THROWS_WITH_AS(l1_loss(x(), Tensor::ones({3})), contains("l1_loss"), Error);
  CHECK_THROWS_WITH_AS(cross_entropy(x(), Tensor::from(Indices{0})), contains("cross_entropy"),
                       Error);
  CHECK_THROWS_WITH_AS(embedding(Tensor::ones({3}), Tensor::from(Indices{0})),
                       contains("embedding: weight (3,)"), Error);
  CHECK_THROWS_WITH_AS(add(x(), Tensor::ones({4})), contains("add: shapes (5, 3) and (4,)"), Error);
  CHECK_THROWS_WITH_AS(matmul(x(), Tensor::ones({4, 2})), contains("(5, 3) and (4, 2)"), Error);
  CHECK_THROWS_WITH_AS(linear(Tensor::ones({2, 4}), x()), contains("linear: input (2, 4)"), Error);
}

TEST_CASE("arguments that make no sense") {
  CHECK_THROWS_WITH_AS(split(x(), 0, 0), doctest::Contains("split: size 0"), Error);
  CHECK_THROWS_WITH_AS(dropout(x(), Tensor::ones({5, 3}), 1.5), doctest::Contains("1.5"), Error);
  CHECK_THROWS_WITH_AS(huber_loss(x(), x(), 0), doctest::Contains("huber_loss: delta 0"), Error);
  CHECK_THROWS_WITH_AS(add(x(), Variable()), doctest::Contains("undefined"), Error);
  CHECK_THROWS_WITH_AS(add(x(), Tensor::ones({3}, DType::float64)),
                       doctest::Contains("float32 and float64"), Error);
}

TEST_CASE("empty batches have gradients too") {
  const Variable none(Tensor::ones({0, 3}), true);
  const Variable weight(Tensor::ones({2, 3}), true);
  sum(linear(none, weight)).backward();
  CHECK(none.grad().shape() == Shape{0, 3});
  CHECK(weight.grad().to_vector<double>() == std::vector<double>(6, 0.0));
}

}  // namespace ebb::test
