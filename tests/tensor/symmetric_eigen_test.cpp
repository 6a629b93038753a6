#include <doctest/doctest.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/ops/symmetric_eigen.h>
#include <ebb/tensor/random/random.h>
#include <ebb/tensor/threads.h>

#include <cmath>
#include <numbers>

#include "tests/tensor/numbers.h"

using namespace ebb;

TEST_CASE("symmetric_eigen: the second difference matrix has known eigenvalues") {
  for (const std::int64_t n : {0, 1, 2, 12, 130}) {
    Tensor a = Tensor::zeros({n, n}, DType::float64);
    double* m = a.mutable_data<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      m[i * n + i] = 2;
      if (i > 0) m[i * n + i - 1] = -1;  // the lower triangle alone is read
    }
    const std::vector<double> got = values(symmetric_eigen(a).values);
    REQUIRE(got.size() == static_cast<std::size_t>(n));
    for (std::int64_t k = 1; k <= n; ++k)
      CHECK(std::abs(got[static_cast<std::size_t>(k - 1)] -
                     (2 - 2 * std::cos(std::numbers::pi * static_cast<double>(k) /
                                       static_cast<double>(n + 1)))) < 1e-13);
  }
}

TEST_CASE("symmetric_eigen: V diag V^T is the matrix, V^T V the identity, for any threads") {
  for (const std::int64_t n : {3, 31, 200}) {
    // Of rank n / 2: many zero eigenvalues.
    const Tensor g = philox_normal({n, (n + 1) / 2}, {1}).to(DType::float64);
    const Tensor a = bmm(g, g, false, true);
    const Eigen eigen = symmetric_eigen(a);
    const Tensor again = bmm(mul(eigen.vectors, eigen.values), eigen.vectors, false, true);
    CHECK(relative_error(again, a) < 1e-13);
    Tensor identity = bmm(eigen.vectors, eigen.vectors, true);
    for (std::int64_t i = 0; i < n; ++i) identity.mutable_data<double>()[i * (n + 1)] -= 1;
    CHECK(amax(abs(identity)).item() < 1e-13);
    const int before = thread_count();
    set_thread_count(3);
    CHECK(values(symmetric_eigen(a).vectors) == values(eigen.vectors));
    set_thread_count(before);
  }
}

TEST_CASE("symmetric_eigen: what it refuses") {
  CHECK_THROWS_AS(symmetric_eigen(Tensor::full({2, 2}, NAN, DType::float64)), Error);
  CHECK_THROWS_AS(symmetric_eigen(Tensor::ones({2, 2})), Error);
  CHECK_THROWS_AS(symmetric_eigen(Tensor::ones({2, 3}, DType::float64)), Error);
  CHECK_THROWS_AS(symmetric_eigen(Tensor::ones({4}, DType::float64)), Error);
}
