// Along one dimension: a GPU's kernels against Device::reference.
#include <doctest/doctest.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.numel()) * size_of(a.dtype())) ==
             0;
}

// Many of them equal.
Tensor some(const Shape& shape, DType dtype, double shift = 1) {
  const Tensor x = numbers(shape, DType::float64, shift);
  return dtype == DType::int64 ? mul(x, 40).to(dtype) : x.to(dtype);
}

// Those of `most` elements at most, which an emulated GPU goes over in good time.
template <class Body>
void for_shapes(std::int64_t most, const Body& body) {
  for (const std::int64_t outer : {1, 2, 3, 33})
    for (const std::int64_t n : {1, 2, 7, 32, 33, 1000, 5000})
      for (const std::int64_t inner : {1, 2, 5, 64})
        if (outer * n * inner <= most) {
          CAPTURE(outer);
          CAPTURE(n);
          CAPTURE(inner);
          body(Shape{outer, n, inner});
        }
}

struct Case {
  const char* name;
  std::function<Tensor(const Tensor&)> apply;  // along dimension 1
  double float32, float64;                     // what rounding explains; 0: the same bits
};

void check_cases(std::int64_t most, const std::vector<Case>& cases,
                 const std::vector<DType>& dtypes) {
  for_shapes(most, [&](const Shape& shape) {
    for (const DType dtype : dtypes) {
      const Tensor x = some(shape, dtype);
      const Tensor far = x.to(Device::cuda), plain = x.to(Device::reference);
      for (const Case& c : cases) {
        CAPTURE(std::string(c.name));
        CAPTURE(name_of(dtype));
        const Tensor got = c.apply(far).to(Device::cpu);
        const Tensor want = c.apply(plain).to(Device::cpu);
        REQUIRE(got.shape() == want.shape());
        const double most_error = dtype == DType::float32   ? c.float32
                                  : dtype == DType::float64 ? c.float64
                                                            : 0;
        if (most_error == 0)
          CHECK(same_bits(got, want));
        else
          CHECK(relative_error(got, want) <= most_error);
      }
    }
  });
}

const std::vector<DType> reduced_dtypes{DType::float32, DType::float64, DType::int64};
const std::vector<DType> floating{DType::float32, DType::float64};

TEST_CASE("cuda: reductions are the plain ones") {
  check_cases(70'000,
              {{"amax", [](const Tensor& x) { return amax(x, {1}); }, 0, 0},
               {"amin", [](const Tensor& x) { return amin(x, {1}); }, 0, 0},
               {"argmax", [](const Tensor& x) { return argmax(x, 1); }, 0, 0}},
              reduced_dtypes);
}

// Against sums of magnitudes, as those of the numbers themselves may be near 0.
TEST_CASE("cuda: sums are the plain ones") {
  for_shapes(70'000, [](const Shape& shape) {
    for (const DType dtype : reduced_dtypes) {
      const Tensor x = some(shape, dtype);
      const Tensor got = sum(x.to(Device::cuda), {1}).to(Device::cpu);
      const Tensor want = sum(x.to(Device::reference), {1}).to(Device::cpu);
      if (dtype == DType::int64) {
        CHECK(same_bits(got, want));
        continue;
      }
      const double error = amax(abs(got - want) / sum(abs(x), {1})).item();
      CHECK(error <= (dtype == DType::float32 ? 1.2e-7 : 1e-15));
    }
  });
}

TEST_CASE("cuda: running sums and products are the plain ones") {
  check_cases(35'000,
              {{"cumsum", [](const Tensor& x) { return cumsum(x, 1); }, 1e-7, 1e-13},
               {"cumprod", [](const Tensor& x) { return cumprod(x, 1); }, 1e-7, 1e-14}},
              reduced_dtypes);
  check_cases(35'000,
              {{"cumprod_backward",
                [](const Tensor& x) {
                  const Tensor near = x * 0.01 + 1.0;
                  return cumprod_backward(x, near, cumprod(near, 1), 1);
                },
                1e-6, 1e-13}},
              floating);
}

TEST_CASE("cuda: softmax and its gradient are the plain ones") {
  check_cases(
      20'000,
      {{"softmax", [](const Tensor& x) { return softmax(x * 8.0, 1); }, 2e-6, 1e-14},
       {"log_softmax", [](const Tensor& x) { return log_softmax(x * 8.0, 1); }, 3e-7, 1e-14},
       {"softmax_backward",
        [](const Tensor& x) { return softmax_backward(x, exp(x * 2.0 - 3.0), 1); }, 1e-6, 1e-13},
       {"log_softmax_backward", [](const Tensor& x) { return log_softmax_backward(x, x - 3.0, 1); },
        1e-6, 1e-13}},
      floating);
}

TEST_CASE("cuda: sorting is the plain one's, bit by bit") {
  const auto rows = [](const Tensor& x) { return x.reshape({x.numel() / x.size(1), x.size(1)}); };
  check_cases(8'000,
              {{"sort", [&](const Tensor& x) { return sort(rows(x), 1); }, 0, 0},
               {"argsort", [&](const Tensor& x) { return argsort(rows(x), 1); }, 0, 0}},
              reduced_dtypes);
}

TEST_CASE("cuda: sorting puts NaN last and leaves 0 and -0 as they come") {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<double> row;
  for (int i = 0; i < 300; ++i) row.insert(row.end(), {0.0, -0.0, NAN, 1.0, -inf, inf, -1.0, 1.0});
  for (const DType dtype : floating) {
    const Tensor x = Tensor::from(row).to(dtype), far = x.to(Device::cuda);
    const Tensor plain = x.to(Device::reference);
    CHECK(same_bits(sort(far, 0).to(Device::cpu), sort(plain, 0).to(Device::cpu)));
    CHECK(same_bits(argsort(far, 0).to(Device::cpu), argsort(plain, 0).to(Device::cpu)));
  }
}

TEST_CASE("cuda: a long row is sorted") {
  const Tensor x = some({100'000}, DType::int64);
  const Tensor want = argsort(x.to(Device::reference), 0).to(Device::cpu);
  CHECK(same_bits(argsort(x.to(Device::cuda), 0).to(Device::cpu), want));
}

TEST_CASE("cuda: long rows, and the same bits on each run") {
  for (const DType dtype : reduced_dtypes) {
    const Tensor x = some({200'000}, dtype), far = x.to(Device::cuda);
    const std::vector<Case> cases{
        {"sum", [](const Tensor& a) { return sum(a); }, 1e-5, 1e-12},
        {"sum of squares", [](const Tensor& a) { return sum(square(a)); }, 1e-7, 1e-13},
        {"amax", [](const Tensor& a) { return amax(a); }, 0, 0},
        {"amin", [](const Tensor& a) { return amin(a); }, 0, 0},
        {"argmax", [](const Tensor& a) { return argmax(a, 0); }, 0, 0},
        {"cumsum", [](const Tensor& a) { return cumsum(a, 0); }, 1e-7, 1e-13}};
    for (const Case& c : cases) {
      CAPTURE(std::string(c.name));
      CAPTURE(name_of(dtype));
      const Tensor once = c.apply(far).to(Device::cpu);
      CHECK(same_bits(once, c.apply(far).to(Device::cpu)));
      const Tensor want = c.apply(x.to(Device::reference)).to(Device::cpu);
      CHECK(relative_error(once, want) <= (dtype == DType::float32   ? c.float32
                                           : dtype == DType::float64 ? c.float64
                                                                     : 0));
    }
    if (!is_floating(dtype)) continue;
    const Tensor y = softmax(far.reshape({40, 5000}), 1).to(Device::cpu);
    CHECK(same_bits(y, softmax(far.reshape({40, 5000}), 1).to(Device::cpu)));
  }
}

TEST_CASE("cuda: NaN, infinity and the first of equals, wherever they stand") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : floating)
    for (const std::int64_t n : {5, 40, 700, 9000})
      for (const std::int64_t inner : {1, 3}) {
        if (n * inner > 20'000 && dtype == DType::float64) continue;
        for (const std::int64_t place : {std::int64_t{0}, n / 3, n - 1}) {
          CAPTURE(n);
          CAPTURE(place);
          // Of a value at `place` and after it, in rows of another.
          const auto row = [&](double other, double value) {
            std::vector<double> xs(static_cast<std::size_t>(n * inner), other);
            for (std::int64_t j = place; j < n; j += 2)
              for (std::int64_t i = 0; i < inner; ++i)
                xs[static_cast<std::size_t>(j * inner + i)] = value;
            return Tensor::from(xs, {1, n, inner}).to(dtype).to(Device::cuda);
          };
          const auto first = [](const Tensor& x) { return values(x.to(Device::cpu)).back(); };
          for (const double value : {double(NAN), inf, 2.0}) {
            const Tensor x = row(1, value);
            CHECK(first(argmax(x, 1)) == double(place));
            if (std::isnan(value)) {
              CHECK(std::isnan(first(amax(x, {1}))));
              CHECK(std::isnan(first(amin(x, {1}))));
            } else {
              CHECK(first(amax(x, {1})) == value);
              CHECK(first(amin(x, {1})) == 1);
            }
          }
          CHECK(first(argmax(row(-inf, -inf), 1)) == 0);
          CHECK(first(amax(row(-inf, -inf), {1})) == -inf);
          CHECK(first(amin(row(inf, inf), {1})) == inf);
        }
      }
}

// NaN where it is NaN, the same number elsewhere.
void check_same_kind(const Tensor& got, const Tensor& want) {
  const std::vector<double> a = values(got.to(Device::cpu)), b = values(want.to(Device::cpu));
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    CHECK((std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i] || a[i] == doctest::Approx(b[i])));
}

TEST_CASE("cuda: softmax and running sums of infinities and NaN") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : floating)
    for (const std::int64_t n : {3, 300, 2000})
      for (const double value : {inf, -inf, double(NAN), 1e30, -1e30}) {
        std::vector<double> xs(static_cast<std::size_t>(2 * n), value);  // the second row all of it
        for (std::int64_t j = 0; j + 1 < n; ++j) xs[static_cast<std::size_t>(j)] = double(j % 7);
        const Tensor x = Tensor::from(xs, {2, n}).to(dtype);
        const Tensor far = x.to(Device::cuda), plain = x.to(Device::reference);
        check_same_kind(softmax(far, 1), softmax(plain, 1));
        check_same_kind(log_softmax(far, 1), log_softmax(plain, 1));
        check_same_kind(cumsum(far, 1), cumsum(plain, 1));
        check_same_kind(cumprod(far, 1), cumprod(plain, 1));
      }
}

TEST_CASE("cuda: int64 sums wrap around") {
  for (const Shape& shape : {Shape{5, 1}, Shape{999, 1}, Shape{30'000, 1}, Shape{700, 3}}) {
    const Tensor x = add(mul(Tensor::ones(shape, DType::int64), 1e18), 0).to(Device::cuda);
    const auto total = static_cast<std::int64_t>(static_cast<std::uint64_t>(shape[0]) *
                                                 1'000'000'000'000'000'000u);
    CHECK(sum(x, {0}).to(Device::cpu).to_vector<std::int64_t>()[0] == total);
    CHECK(cumsum(x, 0).to(Device::cpu).to_vector<std::int64_t>().back() == total);
  }
}

TEST_CASE("cuda: cumprod_backward past zeros") {
  const Tensor x =
      Tensor::from<double>({2, -3, 0.5, 4, 2, 0, 0.5, 4, 0, 3, 2, 5, 2, 0, 3, 0}, {4, 4});
  const Tensor g = numbers({4, 4}, DType::float64);
  for (const DType dtype : floating) {
    const auto gradient = [&](Device device) {
      const Tensor a = x.to(dtype).to(device);
      return cumprod_backward(g.to(dtype).to(device), a, cumprod(a, 1), 1).to(Device::cpu);
    };
    CHECK(same_bits(gradient(Device::cuda), gradient(Device::reference)));
  }
}

TEST_CASE("cuda: zero sizes along one dimension") {
  for (const Shape& shape : {Shape{0, 3, 2}, Shape{2, 0, 3}, Shape{2, 3, 0}, Shape{0, 0, 0}})
    for (const DType dtype : reduced_dtypes) {
      const Tensor x = Tensor::zeros(shape, dtype, Device::cuda);
      const Tensor total = sum(x, {1}).to(Device::cpu);
      CHECK(same_bits(total, Tensor::zeros(total.shape(), dtype)));
      CHECK(cumsum(x, 1).to(Device::cpu).numel() == 0);
      CHECK(cumprod(x, 1).to(Device::cpu).numel() == 0);
      CHECK(sort(x, 1).to(Device::cpu).numel() == 0);
      CHECK(argsort(x, 1).to(Device::cpu).numel() == 0);
      if (shape[1] > 0) {
        CHECK(amax(x, {1}).to(Device::cpu).numel() == 0);
        CHECK(argmax(x, 1).to(Device::cpu).numel() == 0);
      }
      if (!is_floating(dtype)) continue;
      CHECK(softmax(x, 1).to(Device::cpu).numel() == 0);
      CHECK(log_softmax_backward(x, x, 1).to(Device::cpu).numel() == 0);
      CHECK(cumprod_backward(x, x, x, 1).to(Device::cpu).numel() == 0);
    }
}

}  // namespace
}  // namespace ebb
