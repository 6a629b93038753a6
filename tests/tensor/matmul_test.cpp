#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// (m, k) (k, n) by broadcasting and summing.
Tensor product(const Tensor& a, const Tensor& b) {
  return sum(a.reshape({a.size(0), a.size(1), 1}) * b.reshape({1, b.size(0), b.size(1)}), {1});
}

TEST_CASE("bmm, transposed either way, on odd sizes") {
  for (const std::int64_t m : {1, 3, 17})
    for (const std::int64_t k : {1, 5, 13})
      for (const std::int64_t n : {1, 2, 11}) {
        const Tensor a = numbers({3, m, k}, DType::float64), b = numbers({3, k, n}, DType::float64);
        std::vector<Tensor> products;
        for (std::int64_t i = 0; i < 3; ++i)
          products.push_back(product(select(a, 0, i), select(b, 0, i)));
        const Tensor expected = stack(products, 0);
        const Tensor ta = transpose(a, 1, 2), tb = transpose(b, 1, 2);
        CHECK(relative_error(bmm(a, b), expected) < 1e-14);
        CHECK(relative_error(bmm(ta, b, true), expected) < 1e-14);
        CHECK(relative_error(bmm(a, tb, false, true), expected) < 1e-14);
        CHECK(relative_error(bmm(ta, tb, true, true), expected) < 1e-14);
      }
  CHECK(values(bmm(Tensor::zeros({2, 3, 0}), Tensor::zeros({2, 0, 1}))) == std::vector<double>(6));
  CHECK(bmm(Tensor::zeros({0, 3, 2}), Tensor::zeros({0, 2, 1})).shape() == Shape{0, 3, 1});
}

TEST_CASE("matmul follows PyTorch's rule for ranks and batches") {
  const DType d = DType::float64;
  const Tensor a = numbers({2, 3}, d), b = numbers({3, 4}, d), v = numbers({3}, d);
  CHECK(relative_error(matmul(a, b), product(a, b)) < 1e-14);
  CHECK(matmul(v, v).shape() == Shape{});
  CHECK(matmul(v, v).item() == doctest::Approx(sum(v * v).item()));
  CHECK(relative_error(matmul(a, v), sum(a * v, {1})) < 1e-14);
  CHECK(relative_error(matmul(v, b), sum(v.reshape({3, 1}) * b, {0})) < 1e-14);
  CHECK(matmul(numbers({5, 1, 2, 3}, d), numbers({4, 3, 1}, d)).shape() == Shape{5, 4, 2, 1});
  CHECK(matmul(numbers({5, 2, 3}, d), v).shape() == Shape{5, 2});
  CHECK(matmul(v, numbers({5, 3, 2}, d)).shape() == Shape{5, 2});
  const Tensor batch = numbers({5, 2, 3}, d), right = numbers({4, 1, 3, 2}, d);
  const Tensor y = matmul(batch, right);
  CHECK(y.shape() == Shape{4, 5, 2, 2});
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = 0; j < 5; ++j)
      CHECK(relative_error(select(select(y, 0, i), 0, j),
                           product(select(batch, 0, j), select(right, 0, i).reshape({3, 2}))) <
            1e-14);
  CHECK(relative_error(matmul(batch, b),
                       stack({product(select(batch, 0, 0), b), product(select(batch, 0, 1), b),
                              product(select(batch, 0, 2), b), product(select(batch, 0, 3), b),
                              product(select(batch, 0, 4), b)},
                             0)) < 1e-14);
}

TEST_CASE("linear") {
  const Tensor x = numbers({2, 3, 5}, DType::float64), w = numbers({4, 5}, DType::float64, 9);
  const Tensor b = numbers({4}, DType::float64, 5);
  const Tensor expected = product(x.reshape({6, 5}), transpose(w, 0, 1)).reshape({2, 3, 4});
  CHECK(relative_error(linear(x, w, {}), expected) < 1e-14);
  CHECK(relative_error(linear(x, w, b), expected + b) < 1e-14);
  CHECK(linear(select(select(x, 0, 0), 0, 0), w, b).shape() == Shape{4});
}

TEST_CASE("attention is softmax(q k^T / sqrt d) v, its gradients the rules composed") {
  const DType d = DType::float64;
  for (const Shape& batch : {Shape{2, 3}, Shape{1}, Shape{}}) {
    const auto shape = [&](std::int64_t rows, std::int64_t columns) {
      const Shape with_rows = batch.with(batch.rank(), rows);
      return with_rows.with(with_rows.rank(), columns);
    };
    const Tensor q = mul(numbers(shape(7, 5), d), 3), k = numbers(shape(11, 5), d, 2);
    const Tensor v = numbers(shape(11, 4), d, 3), g = numbers(shape(7, 4), d, 4);
    for (const double scale : {0.0, 0.7}) {
      const double s = scale != 0 ? scale : 1 / std::sqrt(5.0);
      const Tensor p = softmax(mul(bmm(q, k, false, true), s), -1);
      const Attended value = scaled_dot_product_attention(q, k, v, scale);
      CHECK(relative_error(value.y, bmm(p, v)) < 1e-14);
      const AttentionGradients dx = scaled_dot_product_attention_backward(g, q, k, v, value, scale);
      const Tensor ds = mul(softmax_backward(bmm(g, v, false, true), p, -1), s);
      CHECK(relative_error(dx.q, bmm(ds, k)) < 1e-13);
      CHECK(relative_error(dx.k, bmm(ds, q, true)) < 1e-13);
      CHECK(relative_error(dx.v, bmm(p, g, true)) < 1e-13);
    }
  }
}

TEST_CASE("self-attention is attention of its parts, bit for bit") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t heads : {1, 2, 3}) {
      const std::int64_t n = 2, length = 130, depth = 7, width = heads * depth;
      const Tensor qkv = numbers({n, length, 3 * width}, dtype);
      const Tensor grad = numbers({n, length, width}, dtype, 5);
      const auto split = [&](const Tensor& x) {
        return permute(x.reshape({n, length, heads, depth}), {0, 2, 1, 3});
      };
      const auto join = [&](const Tensor& x) {
        return permute(x, {0, 2, 1, 3}).reshape({n, length, width});
      };
      const auto part = [&](std::int64_t i) {
        return split(slice(qkv, 2, i * width, (i + 1) * width));
      };
      const Attended parts = scaled_dot_product_attention(part(0), part(1), part(2));
      const AttentionGradients by =
          scaled_dot_product_attention_backward(split(grad), part(0), part(1), part(2), parts);
      const Attended whole = self_attention(qkv, heads);
      CHECK(values(whole.y) == values(join(parts.y)));
      CHECK(values(whole.largest) == values(parts.largest));
      CHECK(values(whole.totals) == values(parts.totals));
      CHECK(values(self_attention_backward(grad, qkv, heads, whole)) ==
            values(cat({join(by.q), join(by.k), join(by.v)}, 2)));

      const Tensor fewer = slice(qkv, 1, 0, 17);
      const auto beside = [&](const Tensor& x, std::int64_t i) {
        return slice(x, 2, i * width, (i + 1) * width);
      };
      const Tensor q = beside(qkv, 0), k = beside(fewer, 1), v = beside(fewer, 2);
      const Attended split_apart = scaled_dot_product_attention(
          part(0), permute(k.reshape({n, 17, heads, depth}), {0, 2, 1, 3}),
          permute(v.reshape({n, 17, heads, depth}), {0, 2, 1, 3}));
      CHECK(values(cross_attention(q, k, v, heads).y) == values(join(split_apart.y)));
    }
}

TEST_CASE("products of mismatched shapes are errors that say both") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4, 2});
  CHECK_THROWS_WITH(matmul(a, b), doctest::Contains("matmul: shapes (2, 3) and (4, 2)"));
  CHECK_THROWS_WITH(bmm(a, b), doctest::Contains("bmm: shapes (2, 3) and (4, 2)"));
  CHECK_THROWS_WITH(matmul(a, Tensor::scalar(1)),
                    doctest::Contains("matmul: shapes (2, 3) and ()"));
  CHECK_THROWS_WITH(linear(a, b, {}), doctest::Contains("linear: input (2, 3) and weight (4, 2)"));
  CHECK_THROWS_WITH(linear(a, Tensor::zeros({5, 3}), Tensor::zeros({4})),
                    doctest::Contains("linear: bias (4,)"));
  CHECK_THROWS_WITH(scaled_dot_product_attention(a, b, b), doctest::Contains("query (2, 3)"));
  CHECK_THROWS_WITH(self_attention(Tensor::zeros({1, 2, 12}), 3),
                    doctest::Contains("self_attention: qkv (1, 2, 12) with 3 heads"));
  const Tensor qkv = Tensor::zeros({1, 2, 12});
  CHECK_THROWS_WITH(self_attention_backward(qkv, qkv, 2, self_attention(qkv, 2)),
                    doctest::Contains("self_attention_backward: gradient (1, 2, 12)"));
  const Tensor q = Tensor::zeros({1, 2, 4}), k = Tensor::zeros({1, 3, 4});
  for (const auto& [keys, values, heads] :
       {std::tuple{k, k, 3}, {k, q, 2}, {q.reshape({2, 1, 4}), k, 2}})
    CHECK_THROWS_WITH(cross_attention(q, keys, values, heads),
                      doctest::Contains("cross_attention: query (1, 2, 4), key"));
  CHECK_THROWS_WITH(cross_attention_backward(k, q, k, k, 2, cross_attention(q, k, k, 2)),
                    doctest::Contains("cross_attention_backward: gradient (1, 3, 4)"));
  CHECK_THROWS_WITH(matmul(Tensor::arange(4).reshape({2, 2}), Tensor::arange(4).reshape({2, 2})),
                    doctest::Contains("matmul: needs float32"));
}

}  // namespace
}  // namespace ebb
