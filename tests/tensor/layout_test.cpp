#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

Tensor counted(const Shape& shape) {
  return Tensor::arange(shape.numel(), DType::float32).reshape(shape);
}

TEST_CASE("permute and transpose") {
  const Tensor x = counted({2, 3, 4});
  const Tensor y = permute(x, {2, 0, 1});
  CHECK(y.shape() == Shape{4, 2, 3});
  const auto xs = values(x), ys = values(y);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 4; ++k) CHECK(ys[(k * 2 + i) * 3 + j] == xs[(i * 3 + j) * 4 + k]);
  CHECK(values(permute(y, {1, 2, 0})) == xs);
  CHECK(values(transpose(transpose(x, 0, -1), 0, 2)) == xs);
  CHECK(nchw_to_nhwc(counted({2, 3, 4, 5})).shape() == Shape{2, 4, 5, 3});
  CHECK(values(nhwc_to_nchw(nchw_to_nhwc(counted({2, 3, 4, 5})))) == values(counted({2, 3, 4, 5})));
  CHECK_THROWS_WITH(permute(x, {0, 1}), doctest::Contains("permute: (0, 1) is no permutation"));
  CHECK_THROWS_WITH(permute(x, {0, 1, 1}), doctest::Contains("(2, 3, 4)"));
}

TEST_CASE("transposing odd sizes") {
  for (const std::int64_t m : {1, 2, 7, 16, 17, 33, 101})
    for (const std::int64_t n : {1, 3, 8, 15, 64, 67}) {
      const auto xs = values(counted({m, n})), ys = values(transpose(counted({m, n}), 0, 1));
      bool same = true;
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          same = same &&
                 xs[static_cast<std::size_t>(i * n + j)] == ys[static_cast<std::size_t>(j * m + i)];
      CAPTURE(m);
      CAPTURE(n);
      CHECK(same);
    }
}

TEST_CASE("broadcast_to and repeat_interleave") {
  const Tensor x = Tensor::from<std::int64_t>({1, 2}, {2, 1});
  CHECK(values(broadcast_to(x, {2, 2, 3})) ==
        std::vector<double>{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  CHECK(values(repeat_interleave(counted({2, 2}), 2, 0)) ==
        std::vector<double>{0, 1, 0, 1, 2, 3, 2, 3});
  CHECK(values(repeat_interleave(counted({2, 2}), 2, -1)) ==
        std::vector<double>{0, 0, 1, 1, 2, 2, 3, 3});
  CHECK_THROWS_WITH(broadcast_to(x, {3, 3}), doctest::Contains("(2, 1) and (3, 3)"));
  CHECK_THROWS_WITH(broadcast_to(Tensor::zeros({3}), {1}), doctest::Contains("(3,)"));
}

TEST_CASE("cat, stack, slice and select") {
  const Tensor a = counted({2, 2}), b = neg(counted({2, 1}));
  CHECK(values(cat({a, b, a}, 1)) == std::vector<double>{0, 1, -0.0, 0, 1, 2, 3, -1, 2, 3});
  CHECK(values(cat({a, a}, 0)) == std::vector<double>{0, 1, 2, 3, 0, 1, 2, 3});
  CHECK(cat({Tensor::zeros({0, 2}), a}, 0).shape() == Shape{2, 2});
  CHECK_THROWS_WITH(cat({a, counted({3, 1})}, 1),
                    doctest::Contains("cat: shapes (2, 2) and (3, 1)"));
  CHECK_THROWS_WITH(cat(std::vector<Tensor>{}, 0), doctest::Contains("cat: no tensors"));
  CHECK(values(stack({a, a}, 2)) == std::vector<double>{0, 0, 1, 1, 2, 2, 3, 3});
  CHECK(stack({a, a}, -1).shape() == Shape{2, 2, 2});

  const Tensor x = counted({2, 5});
  CHECK(values(slice(x, 1, 1, 4, 2)) == std::vector<double>{1, 3, 6, 8});
  CHECK(values(slice(x, 1, -2, 100)) == std::vector<double>{3, 4, 8, 9});
  CHECK(slice(x, 1, 4, 2).shape() == Shape{2, 0});
  CHECK(values(slice_backward(slice(x, 1, 1, 5, 3), x.shape(), 1, 1, 5, 3)) ==
        std::vector<double>{0, 1, 0, 0, 4, 0, 6, 0, 0, 9});
  CHECK_THROWS_WITH(slice(x, 1, 0, 2, 0), doctest::Contains("slice: step 0"));
  CHECK(values(select(x, 1, -1)) == std::vector<double>{4, 9});
  CHECK_THROWS_WITH(select(x, 1, 5), doctest::Contains("index 5 is out of range"));
}

TEST_CASE("flip and pad") {
  const Tensor x = counted({2, 3});
  CHECK(values(flip(x, {1})) == std::vector<double>{2, 1, 0, 5, 4, 3});
  CHECK(values(flip(x, {0, -1})) == std::vector<double>{5, 4, 3, 2, 1, 0});
  CHECK_THROWS_WITH(flip(x, {1, -1}), doctest::Contains("named twice"));
  CHECK(values(pad(x, {1, 0}, 9)) == std::vector<double>{9, 0, 1, 2, 9, 3, 4, 5});
  CHECK(values(pad(x, {-1, 1, 1, -1})) == std::vector<double>{0, 0, 0, 1, 2, 0});
  CHECK(pad(x, {-1, -2}).shape() == Shape{2, 0});
  CHECK_THROWS_WITH(pad(x, {-2, -2}), doctest::Contains("crop more than size 3"));
  CHECK_THROWS_WITH(pad(x, {1}), doctest::Contains("pad: 1 widths"));
}

TEST_CASE("gather, index_select and their adjoints") {
  const Tensor x = counted({2, 3});
  const Tensor index = Tensor::from<std::int64_t>({2, 0, 0, 1}, {2, 2});
  CHECK(values(gather(x, 1, index)) == std::vector<double>{2, 0, 3, 4});
  CHECK(values(gather(x, 0, Tensor::from<std::int64_t>({1, 0}, {1, 2}))) ==
        std::vector<double>{3, 1});
  CHECK(values(gather_backward(Tensor::ones({2, 2}), {2, 3}, 1, index)) ==
        std::vector<double>{1, 0, 1, 1, 1, 0});
  CHECK(values(gather_backward(Tensor::ones({1, 2}), {2, 3}, 0,
                               Tensor::from<std::int64_t>({1, 0}, {1, 2}))) ==
        std::vector<double>{0, 1, 0, 1, 0, 0});
  const Tensor rows = Tensor::from<std::int64_t>({1, 1, 0});
  CHECK(values(index_select(x, 0, rows)) == std::vector<double>{3, 4, 5, 3, 4, 5, 0, 1, 2});
  CHECK(values(index_select(x, 1, rows)) == std::vector<double>{1, 1, 0, 4, 4, 3});
  CHECK(values(index_select_backward(Tensor::ones({3, 3}), {2, 3}, 0, rows)) ==
        std::vector<double>{1, 1, 1, 2, 2, 2});
  CHECK_THROWS_WITH(index_select(x, 0, Tensor::from<std::int64_t>({2})),
                    doctest::Contains("index 2 is out of range; it must be in [0, 2)"));
  CHECK_THROWS_WITH(gather(x, 1, Tensor::from<std::int64_t>({-1}, {1, 1})),
                    doctest::Contains("index -1"));
  CHECK_THROWS_WITH(gather(x, 1, Tensor::zeros({1, 1})), doctest::Contains("must be int64"));
  CHECK(values(one_hot(Tensor::from<std::int64_t>({1, 0}), 3)) ==
        std::vector<double>{0, 1, 0, 1, 0, 0});
  CHECK_THROWS_WITH(one_hot(Tensor::from<std::int64_t>({3}), 3), doctest::Contains("one_hot"));
}

}  // namespace
}  // namespace ebb
