// What a stranger expects to find: creation, indexing, comparisons and arithmetic in place.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

using Values = std::vector<double>;

TEST_CASE("api: arange, linspace and eye, as PyTorch's") {
  CHECK(values(Tensor::arange(2, 5)) == Values{2, 3, 4});
  CHECK(Tensor::arange(2, 5).dtype() == DType::int64);
  CHECK(values(Tensor::arange(5, 0, -2)) == Values{5, 3, 1});
  const Tensor tenths = Tensor::arange(0, 1, 0.25);
  CHECK(tenths.dtype() == DType::float32);
  CHECK(values(tenths) == Values{0, 0.25, 0.5, 0.75});
  constexpr std::int64_t large = std::int64_t{1} << 62;
  CHECK(Tensor::arange(large + 1, large + 4).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{large + 1, large + 2, large + 3});
  CHECK(Tensor::arange(large, -large - 1, -large).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{large, 0, -large});
  CHECK_THROWS_WITH(Tensor::arange(-large, large), doctest::Contains("too many"));
  CHECK(Tensor::arange(3, 3).numel() == 0);
  CHECK(Tensor::arange(3, 1).numel() == 0);
  CHECK_THROWS_WITH(Tensor::arange(0, 1, 0), doctest::Contains("a step that is not 0"));
  CHECK(values(Tensor::linspace(-1, 1, 5)) == Values{-1, -0.5, 0, 0.5, 1});
  CHECK(values(Tensor::linspace(3, 4, 1)) == Values{3});
  CHECK(Tensor::linspace(0, 1, 0).numel() == 0);
  const Tensor thirds = Tensor::linspace(0.1, 0.7, 4, DType::float64);
  CHECK(values(thirds).front() == 0.1);
  CHECK(values(thirds).back() == 0.7);
  CHECK(values(Tensor::eye(2, DType::int64)) == Values{1, 0, 0, 1});
}

TEST_CASE("api: select, slice, squeeze and unsqueeze, of Tensors and of Variables") {
  const Tensor x = Tensor::arange(0, 24).to(DType::float64).reshape({2, 3, 4});
  const Variable v(x, true);
  const auto same = [](const Tensor& a, const Variable& b, const Shape& shape) {
    CHECK(a.shape() == shape);
    CHECK(b.shape() == shape);
    CHECK(values(a) == values(b.value()));
  };
  same(x.select(1, -1), v.select(1, -1), {2, 4});
  same(x.slice(2, 1, 4, 2), v.slice(2, 1, 4, 2), {2, 3, 2});
  same(x.unsqueeze(0), v.unsqueeze(0), {1, 2, 3, 4});
  same(x.unsqueeze(-1), v.unsqueeze(-1), {2, 3, 4, 1});
  same(x.unsqueeze(3).squeeze(-1), v.unsqueeze(3).squeeze(-1), {2, 3, 4});
  same(x.permute({2, 0, 1}), v.permute({2, 0, 1}), {4, 2, 3});
  same(x.transpose(0, 2), v.transpose(0, 2), {4, 3, 2});
  CHECK(values(x.select(0, 1).select(0, 2)) == Values{20, 21, 22, 23});
  sum(v.select(1, -1).unsqueeze(1) * 2.0).backward();
  CHECK(values(v.grad().select(1, 2)) == Values(8, 2));
  CHECK(values(v.grad().select(1, 0)) == Values(8, 0));
  CHECK(x.squeeze(1).shape() == x.shape());
  CHECK_THROWS_AS(x.unsqueeze(4), Error);
  CHECK_THROWS_AS(v.select(1, 3), Error);
}

TEST_CASE("api: comparisons, any and all") {
  const Tensor a = Tensor::from<float>({1, 2, 3}), b = Tensor::from<float>({2, 2, 2});
  CHECK(values(a < b) == Values{1, 0, 0});
  CHECK(values(a <= b) == Values{1, 1, 0});
  CHECK(values(a > 1.5) == Values{0, 1, 1});
  CHECK(values(a >= 3) == Values{0, 0, 1});
  CHECK(values(equal(a, 2)) == Values{0, 1, 0});
  CHECK(values(not_equal(a, b)) == Values{1, 0, 1});
  CHECK(any(a > 2.5));
  CHECK_FALSE(any(a > 3));
  CHECK(all(a > 0));
  CHECK_FALSE(all(a > 1));
  CHECK(any(Tensor::from<float>({0, NAN})));
  CHECK_FALSE(any(Tensor::zeros({0})));
  CHECK(all(Tensor::zeros({0})));
  const Tensor nan = Tensor::full({1}, NAN);
  CHECK_FALSE(any(nan < nan));
  CHECK_FALSE(any(nan >= 0));
  CHECK(all(not_equal(nan, nan)));
}

TEST_CASE("api: arithmetic in place keeps the memory, broadcasts, and is counted") {
  Tensor x = Tensor::from<float>({1, 2, 3, 4}, {2, 2});
  const Tensor same = x;
  const std::uint64_t before = x.version();
  x += Tensor::from<float>({10, 20});
  x -= 1;
  x *= 2;
  x /= Tensor::full({2, 1}, 4);
  CHECK(values(same) == Values{5, 10.5, 6, 11.5});
  CHECK(x.version() > before);
  Tensor row = Tensor::ones({2});
  CHECK_THROWS_WITH(row += x, doctest::Contains("make a larger shape"));
  Tensor whole = Tensor::arange(3);
  whole += 2;
  CHECK(values(whole) == Values{2, 3, 4});
  CHECK_THROWS_AS(whole /= 2, Error);
  const Variable v(Tensor::ones({2, 2}), true);
  const Variable y = sum(v * same);
  x *= 2;
  CHECK_THROWS_WITH(y.backward(), doctest::Contains("changed in place"));
}

}  // namespace
}  // namespace ebb
