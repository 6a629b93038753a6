// Every function at rank 0, 1 and max_rank: against plain loops over indices, or against the same
// work at a lower rank. One rank more is an Error.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "tests/tensor/numbers.h"

using namespace ebb;

namespace {

using Index = std::vector<std::int64_t>;

const std::vector<std::int64_t> sizes{2, 3, 2, 2, 3, 2, 2, 2};  // no two neighbours merge below
constexpr std::int64_t top_rank = Shape::max_rank;

// Calls body(index) for every index of `shape` in row-major order.
template <class Body>
void for_each(const Shape& shape, const Body& body) {
  const std::int64_t n = shape.numel();
  Index index(static_cast<std::size_t>(shape.rank()));
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t rest = i;
    for (std::int64_t d = shape.rank(); d-- > 0; rest /= shape[d])
      index[static_cast<std::size_t>(d)] = rest % shape[d];
    body(index);
  }
}

// Element `index` of x; sizes of 1 are read again and again.
double at(const std::vector<double>& x, const Shape& shape, const Index& index) {
  std::int64_t place = 0;
  for (std::int64_t d = 0; d < shape.rank(); ++d)
    place = place * shape[d] + (shape[d] == 1 ? 0 : index[static_cast<std::size_t>(d)]);
  return x[static_cast<std::size_t>(place)];
}

Shape every_other(std::size_t first) {
  std::vector<std::int64_t> result = sizes;
  for (std::size_t d = first; d < result.size(); d += 2) result[d] = 1;
  return Shape(result);
}

Dims all_dims(std::int64_t rank) {
  Dims dims(static_cast<std::size_t>(rank));
  std::iota(dims.begin(), dims.end(), 0);
  return dims;
}

}  // namespace

TEST_CASE("rank: broadcasting eight dimensions that do not merge") {
  const Shape whole(sizes), one = every_other(0), other = every_other(1);
  for (const DType dtype : {DType::float32, DType::float64, DType::int64}) {
    CAPTURE(dtype);
    const Tensor x = mul(numbers(one, DType::float64), 9).to(dtype);
    const Tensor y = mul(numbers(other, DType::float64, 3), 9).to(dtype);
    const std::vector<double> a = values(x), b = values(y);
    std::vector<double> wide_a, larger, chosen, summed;
    for_each(whole, [&](const Index& index) {
      wide_a.push_back(at(a, one, index));
      larger.push_back(std::max(at(a, one, index), at(b, other, index)));
      chosen.push_back(at(a, one, index) != 0 ? at(b, other, index) : at(a, one, index));
      summed.push_back(at(a, one, index) - at(b, other, index));
    });
    CHECK(values(broadcast_to(x, whole)) == wide_a);
    CHECK(values(maximum(x, y)) == larger);
    CHECK(values(where(x, y, x)) == chosen);
    CHECK(relative_error(sub(x, y).to(DType::float64), Tensor::from(summed, whole)) < 1e-6);
  }
  // The gradient sums down again.
  const Variable x(numbers(one, DType::float64), true), y(numbers(other, DType::float64), true);
  sum(mul(x, y)).backward();
  CHECK(x.grad().shape() == one);
  CHECK(relative_error(x.grad(), broadcast_to(sum(y.value()).reshape(Shape(Index(8, 1))), one)) <
        1e-12);
}

TEST_CASE("rank: permutations of eight dimensions") {
  const Shape shape(sizes);
  for (const DType dtype : {DType::float32, DType::float64, DType::int64}) {
    const Tensor x = Tensor::arange(shape.numel(), dtype).reshape(shape);
    const std::vector<double> a = values(x);
    Dims dims = all_dims(top_rank);
    std::vector<Dims> orders{dims,
                             {7, 6, 5, 4, 3, 2, 1, 0},
                             {1, 0, 3, 2, 5, 4, 7, 6},
                             {6, 4, 2, 0, 7, 5, 3, 1},
                             {0, 7, 1, 6, 2, 5, 3, 4}};
    for (const Dims& order : orders) {
      std::vector<std::int64_t> turned;
      for (const std::int64_t d : order) turned.push_back(sizes[static_cast<std::size_t>(d)]);
      std::vector<double> want;
      for_each(Shape(turned), [&](const Index& index) {
        Index from(index.size());
        for (std::size_t d = 0; d < index.size(); ++d)
          from[static_cast<std::size_t>(order[d])] = index[d];
        want.push_back(at(a, shape, from));
      });
      CHECK(values(permute(x, order)) == want);
    }
    std::vector<double> mirrored;
    for_each(shape, [&](Index index) {
      for (std::size_t d = 0; d < 8; d += 2) index[d] = sizes[d] - 1 - index[d];
      mirrored.push_back(at(a, shape, index));
    });
    CHECK(values(flip(x, {0, 2, 4, 6})) == mirrored);
  }
}

TEST_CASE("rank: reductions over every other of eight dimensions") {
  const Shape shape(sizes);
  const Tensor x = numbers(shape, DType::float64);
  const std::vector<double> a = values(x);
  for (const std::size_t first : {0, 1}) {
    const Shape kept = every_other(first);
    std::vector<double> sums(static_cast<std::size_t>(kept.numel()), 0), most_of(sums.size(), -9);
    for_each(shape, [&](const Index& index) {
      std::int64_t place = 0;
      for (std::int64_t d = 0; d < top_rank; ++d)
        place = place * kept[d] + (kept[d] == 1 ? 0 : index[static_cast<std::size_t>(d)]);
      sums[static_cast<std::size_t>(place)] += at(a, shape, index);
      double& largest = most_of[static_cast<std::size_t>(place)];
      largest = std::max(largest, at(a, shape, index));
    });
    Dims dims;
    for (std::size_t d = first; d < 8; d += 2) dims.push_back(static_cast<std::int64_t>(d));
    CHECK(relative_error(sum(x, dims, true), Tensor::from(sums, kept)) < 1e-13);
    CHECK(values(amax(x, dims, true)) == most_of);
    CHECK(values(amin(neg(x), dims)) == values(neg(amax(x, dims))));
    CHECK(mean(x, dims).rank() == 4);
  }
}

TEST_CASE("rank: what works along one dimension, at rank 8 as at rank 3") {
  const Shape shape(sizes);
  const Tensor x = numbers(shape, DType::float64);
  const std::vector<std::function<Tensor(const Tensor&, std::int64_t)>> functions{
      [](const Tensor& t, std::int64_t d) { return sum(t, {d}, true); },
      [](const Tensor& t, std::int64_t d) { return amax(t, {d}, true); },
      [](const Tensor& t, std::int64_t d) { return var(t, {d}, true, true); },
      [](const Tensor& t, std::int64_t d) { return cumsum(t, d); },
      [](const Tensor& t, std::int64_t d) { return cumprod(t, d); },
      [](const Tensor& t, std::int64_t d) { return softmax(t, d); },
      [](const Tensor& t, std::int64_t d) { return log_softmax(t, d); },
      [](const Tensor& t, std::int64_t d) { return sort(t, d); },
      [](const Tensor& t, std::int64_t d) { return argmax(t, d).to(DType::float64); },
      [](const Tensor& t, std::int64_t d) { return argsort(t, d).to(DType::float64); },
      [](const Tensor& t, std::int64_t d) { return logsumexp(t, d, true); },
      [](const Tensor& t, std::int64_t d) { return squeeze(slice(t, d, 1, 2), d); },
      [](const Tensor& t, std::int64_t d) { return select(t, d, 1); },
      [](const Tensor& t, std::int64_t d) { return unsqueeze(select(t, d, 0), d); },
      [](const Tensor& t, std::int64_t d) { return quantile(t, 0.3, d, true); },
      [](const Tensor& t, std::int64_t d) { return slice(t, d, 1, 2); },
      [](const Tensor& t, std::int64_t d) { return slice(t, d, 0, 3, 2); },
      [](const Tensor& t, std::int64_t d) { return flip(t, {d}); },
      [](const Tensor& t, std::int64_t d) {
        return cat({t, t}, d);
      },
      [](const Tensor& t, std::int64_t d) { return repeat_interleave(t, 2, d); },
      [](const Tensor& t, std::int64_t d) {
        return index_select(t, d, Tensor::from<std::int64_t>({1, 0, 1}));
      },
      [](const Tensor& t, std::int64_t d) {
        return slice_backward(slice(t, d, 1, 2), t.shape(), d, 1, 2);
      }};
  for (std::size_t i = 0; i < functions.size(); ++i)
    for (std::int64_t d = 0; d < top_rank; ++d) {
      CAPTURE(i);
      CAPTURE(d);
      std::int64_t outer = 1, inner = 1;
      for (std::int64_t e = 0; e < d; ++e) outer *= shape[e];
      for (std::int64_t e = d + 1; e < top_rank; ++e) inner *= shape[e];
      const Tensor low = functions[i](x.reshape({outer, shape[d], inner}), 1);
      CHECK(values(functions[i](x, d)) == values(low));
      CHECK(values(functions[i](x, d - top_rank)) == values(low));
    }
  const Tensor index = philox_integers(shape, 0, 2, {5});
  const std::vector<double> a = values(x), chosen = values(index);
  for (std::int64_t d = 0; d < top_rank; ++d) {
    std::vector<double> want;
    for_each(shape, [&](Index place) {
      place[static_cast<std::size_t>(d)] = static_cast<std::int64_t>(at(chosen, shape, place));
      want.push_back(at(a, shape, place));
    });
    CHECK(values(gather(x, d, index)) == want);
    CHECK(sum(gather_backward(Tensor::ones(shape), shape, d, index)).item() == shape.numel());
  }
}

TEST_CASE("rank: products, norms and tables of eight dimensions") {
  const Shape shape(sizes);
  const Tensor x = numbers(shape, DType::float64);
  const Tensor flat = x.reshape({-1, 2, 2}), rows = x.reshape({-1, 2});
  const Tensor w = numbers({5, 2}, DType::float64), b = numbers({5}, DType::float64);
  CHECK(values(matmul(x, x)) == values(bmm(flat, flat)));
  CHECK(values(matmul(x, slice(x, 0, 0, 1))) ==
        values(matmul(x, cat({slice(x, 0, 0, 1), slice(x, 0, 0, 1)}, 0))));
  CHECK(values(linear(x, w, b)) == values(linear(rows, w, b)));
  CHECK(values(layer_norm(x, {2})) == values(layer_norm(rows, {2})));
  CHECK(values(layer_norm(x, shape)) == values(layer_norm(x.reshape({-1}), {shape.numel()})));
  CHECK(values(group_norm(x, 2)) == values(group_norm(x.reshape({2, -1, 2}), 2)));
  CHECK(values(batch_norm(x)) == values(batch_norm(rows)));
  const std::vector<double> attended = values(scaled_dot_product_attention(flat, flat, flat).y);
  CHECK(values(scaled_dot_product_attention(x, x, x).y) == attended);
  const Tensor index = philox_integers(Shape(Index(7, 2)), 0, 5, {6});
  CHECK(values(embedding(w, index)) == values(index_select(w, 0, index.reshape({-1}))));
  CHECK(one_hot(index, 5).rank() == top_rank);
  CHECK(stack({select(x, 3, 0), select(x, 3, 1)}, 3).shape() == shape);
  CHECK(values(stack({select(x, 3, 0), select(x, 3, 1)}, 3)) == values(x));
  CHECK(values(sum_to(x, Shape(Index(8, 1))))[0] == doctest::Approx(sum(x).item()));
  CHECK(values(pad(x, {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0})).size() ==
        static_cast<std::size_t>(shape.numel() * 4));
  // One more.
  CHECK_THROWS_AS(stack({x, x}, 0), Error);
  CHECK_THROWS_AS(one_hot(index.reshape(Shape(Index{2, 2, 2, 2, 2, 2, 2, 1})), 5), Error);
  CHECK_THROWS_AS(embedding(w, index.reshape(Shape(Index{2, 2, 2, 2, 2, 2, 2, 1}))), Error);
  CHECK_THROWS_AS(Shape(Index(9, 1)), Error);
  CHECK_THROWS_AS(x.reshape(Index(9, 1)), Error);
  CHECK_THROWS_AS(broadcast_to(x, Shape(Index(9, 1))), Error);
}

TEST_CASE("rank: a scalar is as one element") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor scalar = Tensor::scalar(0.7, dtype), one = Tensor::full({1}, 0.7, dtype);
    const std::vector<std::function<Tensor(const Tensor&)>> functions{
        [](const Tensor& x) { return exp(x); },
        [](const Tensor& x) { return clamp(x, 0, 0.5); },
        [](const Tensor& x) { return x + x * 2; },
        [](const Tensor& x) { return 1 / x; },
        [](const Tensor& x) { return maximum(x, Tensor::full({1}, 1, x.dtype())); },
        [](const Tensor& x) { return where(x, x, neg(x)); },
        [](const Tensor& x) { return axpby(2, x, 3, x); },
        [](const Tensor& x) { return sum(x); },
        [](const Tensor& x) { return mean(x); },
        [](const Tensor& x) { return var(x, {}, false); },
        [](const Tensor& x) { return amax(x); },
        [](const Tensor& x) { return amin(x); },
        [](const Tensor& x) { return cumsum(x, 0); },
        [](const Tensor& x) { return cumprod(x, -1); },
        [](const Tensor& x) { return softmax(x, 0); },
        [](const Tensor& x) { return log_softmax(x, 0); },
        [](const Tensor& x) { return sort(x, 0); },
        [](const Tensor& x) { return argsort(x, 0).to(x.dtype()); },
        [](const Tensor& x) { return logsumexp(x, 0, true); },
        [](const Tensor& x) { return log1p(x); },
        [](const Tensor& x) { return argmax(x, 0).to(x.dtype()); },
        [](const Tensor& x) {
          return broadcast_to(x, {2, 3});
        },
        [](const Tensor& x) { return flip(x, {0}); },
        [](const Tensor& x) { return permute(x, all_dims(x.rank())); },
        [](const Tensor& x) { return mse_loss(x, neg(x)); },
        [](const Tensor& x) { return one_hot(x.to(DType::int64), 3, x.dtype()); },
        [](const Tensor& x) {
          return x.reshape({1, 1, 1});
        }};
    for (std::size_t i = 0; i < functions.size(); ++i) {
      CAPTURE(i);
      CHECK(values(functions[i](scalar)) == values(functions[i](one)));
    }
    Variable x(scalar, true);
    mul(exp(x), x).backward();
    CHECK(x.grad().rank() == 0);
    CHECK(x.grad().item() == doctest::Approx(1.7 * std::exp(0.7)));
  }
  CHECK_THROWS_AS(matmul(Tensor::scalar(1), Tensor::ones({1})), Error);
  CHECK_THROWS_AS(slice(Tensor::scalar(1), 0, 0, 1), Error);
  CHECK_THROWS_AS(cat({Tensor::scalar(1), Tensor::scalar(1)}, 0), Error);
  CHECK(transpose(Tensor::scalar(3), 0, -1).item() == 3);
  CHECK_THROWS_AS(transpose(Tensor::scalar(3), 0, 1), Error);
  CHECK_THROWS_AS(sum(Tensor::scalar(1), {1}), Error);
  CHECK_THROWS_AS(flip(Tensor::zeros({0}), {1}), Error);
  CHECK_THROWS_AS(select(Tensor::scalar(1), 0, 0), Error);
}
