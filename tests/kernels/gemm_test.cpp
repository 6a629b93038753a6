#include <doctest/doctest.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/runtime/parallel.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/kernels/plain_product.h"
#include "tests/worse.h"

using namespace ebb;
using namespace ebb::cpu;

namespace {

template <class T>
std::vector<T> numbers(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = uniform(engine);
  return values;
}

template <class T>
void compare(std::int64_t m, std::int64_t n, std::int64_t k, bool trans_a, bool trans_b,
             bool accumulate, bool with_bias, Activation activation) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const auto a = numbers<T>(m * k, 1), b = numbers<T>(k * n, 2), bias = numbers<T>(n, 3);
  const std::int64_t ldc = n + 3;
  auto got = numbers<T>(m * ldc, 4), want = got;
  const Matrix<T> left = trans_a ? Matrix<T>{a.data(), 1, m} : Matrix<T>{a.data(), k, 1};
  const Matrix<T> right = trans_b ? Matrix<T>{b.data(), 1, k} : Matrix<T>{b.data(), n, 1};
  const Epilogue<T> epilogue{accumulate, with_bias ? bias.data() : nullptr, activation};
  gemm(m, n, k, left, right, got.data(), ldc, epilogue);
  test::plain_product(m, n, k, left, right, want.data(), ldc, epilogue);
  const double tolerance = (sizeof(T) == 4 ? 1e-6 : 1e-14) * (4 + std::sqrt(double(k)));
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i)
    worst = test::worse_of(worst, std::abs(double(got[i]) - double(want[i])));
  CHECK(worst <= tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("gemm is the plain loop on odd sizes", T, float, double) {
  for (std::int64_t m = 0; m <= 17; ++m)
    for (std::int64_t n = 0; n <= 17; n += m % 2 + 1)
      compare<T>(m, n, (m * 7 + n) % 19, m % 2, n % 3 == 0, (m + n) % 2, m % 3 == 0,
                 Activation(m % 3));
  for (std::int64_t size : {31, 32, 33, 61, 97, 257, 263})
    for (bool trans : {false, true})
      compare<T>(size, 300 - size, size + 1, trans, !trans, trans, true, Activation::relu);
  compare<T>(1, 1, 2000, false, false, false, false, Activation::none);
  compare<T>(1000, 3, 5, true, true, false, false, Activation::none);
  compare<T>(3, 1100, 5, true, true, true, false, Activation::silu);
  for (bool accumulate : {false, true}) {
    compare<T>(29, 45, 700, true, false, accumulate, false, Activation::none);
    compare<T>(130, 33, 600, false, true, accumulate, false, Activation::none);
    // Rows a multiple of a kilobyte apart are copied.
    for (const auto& [m, n] : {std::pair{256, 61}, {70, 256}, {512, 512}})
      compare<T>(m, n, 600, true, false, accumulate, false, Activation::none);
  }
}

TEST_CASE("the bits of a float64 product do not depend on the threads") {
  for (const std::int64_t m : {70, 1100}) {
    const std::int64_t n = 1500, k = 90;
    const auto a = numbers<double>(m * k, 5), b = numbers<double>(k * n, 6);
    const int threads = thread_count();
    std::vector<double> first;
    for (int count : {1, 2, 3}) {
      set_thread_count(count);
      std::vector<double> c(m * n);
      gemm(m, n, k, {a.data(), k, 1}, {b.data(), 1, k}, c.data(), n);
      if (first.empty()) first = c;
      CHECK(c == first);
      parallel_for(1, 1, [&](std::int64_t, std::int64_t) {
        gemm(m, n, k, {a.data(), k, 1}, {b.data(), 1, k}, c.data(), n);
      });
      CHECK(c == first);
    }
    set_thread_count(threads);
  }
}

TEST_CASE("a float32 product's bits depend on its row, its column and k alone") {
  using T = float;
  const std::int64_t m = 61;
  const int threads = thread_count();
  for (const auto& [n, k] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{75, 300}, {75, 9000}, {256, 9000}}) {
    CAPTURE(n);
    CAPTURE(k);
    const auto a = numbers<T>(m * k, 5), b = numbers<T>(k * n, 6);
    std::vector<T> whole(m * n), part(1);
    gemm(m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, whole.data(), n);
    for (int count : {1, 2, 3}) {
      set_thread_count(count);
      std::vector<T> again(m * n);
      gemm(m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, again.data(), n);
      CHECK(again == whole);
    }
    set_thread_count(threads);
    for (std::int64_t i = 0; i < m; i += 7)
      for (std::int64_t j = 0; j < n; j += 5) {
        gemm(1, 1, k, {a.data() + i * k, k, 1}, {b.data() + j, n, 1}, part.data(), 1);
        CHECK(part[0] == whole[i * n + j]);
      }
  }
}
