#include <doctest/doctest.h>
#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/normals.h"

namespace {

using namespace ebb;
using ebb::test::normals;

// The kernel distance and the manifolds again, pair by pair.
struct Points {
  std::vector<double> x;
  std::int64_t n, d;
  explicit Points(const Tensor& t) : x(t.to_vector<double>()), n(t.size(0)), d(t.size(1)) {}
  double at(std::int64_t i, std::int64_t j) const { return x[static_cast<std::size_t>(i * d + j)]; }
};
double kernel(const Points& a, std::int64_t i, const Points& b, std::int64_t j) {
  double dot = 0;
  for (std::int64_t k = 0; k < a.d; ++k) dot += a.at(i, k) * b.at(j, k);
  return std::pow(dot / static_cast<double>(a.d) + 1, 3);
}
double distance(const Points& a, std::int64_t i, const Points& b, std::int64_t j) {
  double sum = 0;
  for (std::int64_t k = 0; k < a.d; ++k) sum += std::pow(a.at(i, k) - b.at(j, k), 2);
  return std::sqrt(sum);
}
double share_inside(const Points& queries, const Points& points, std::size_t k) {
  double inside = 0;
  for (std::int64_t q = 0; q < queries.n; ++q) {
    bool covered = false;
    for (std::int64_t i = 0; i < points.n; ++i) {
      std::vector<double> others;
      for (std::int64_t j = 0; j < points.n; ++j)
        if (j != i) others.push_back(distance(points, i, points, j));
      std::sort(others.begin(), others.end());
      covered = covered || distance(queries, q, points, i) <= others[k - 1];
    }
    inside += covered;
  }
  return inside / static_cast<double>(queries.n);
}

}  // namespace

TEST_SUITE("metrics") {
  TEST_CASE("frechet_distance: Gaussians in closed form") {
    const Tensor zero = Tensor::zeros({2}, DType::float64);
    const Tensor shifted = Tensor::from<double>({3, -4});
    // Diagonal: |mu|^2 + sum (s_a - s_b)^2.
    const Tensor a = Tensor::from<double>({4, 0, 0, 9}, {2, 2});
    const Tensor b = Tensor::from<double>({1, 0, 0, 16}, {2, 2});
    CHECK(frechet_distance(shifted, a, zero, b) == doctest::Approx(25 + 1 + 1));
    // Any 2x2: tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB)).
    const Tensor c = Tensor::from<double>({2, 0.5, 0.5, 1}, {2, 2});
    const Tensor d = Tensor::from<double>({1, -0.3, -0.3, 3}, {2, 2});
    const double trace = 2 * 1 + 0.5 * -0.3 + 0.5 * -0.3 + 1 * 3;
    const double determinant = (2 - 0.25) * (3 - 0.09);
    CHECK(frechet_distance(zero, c, zero, d) ==
          doctest::Approx(3 + 4 - 2 * std::sqrt(trace + 2 * std::sqrt(determinant))));
  }

  TEST_CASE("frechet_distance: from features, symmetric, zero for equal ones") {
    // Mean 1 and variance 2 (over N - 1) against mean 0 and variance 8.
    const Tensor a = Tensor::from<double>({0, 2}, {2, 1}),
                 b = Tensor::from<double>({-2, 2}, {2, 1});
    CHECK(frechet_distance(a, b) == doctest::Approx(1 + std::pow(std::sqrt(2) - std::sqrt(8), 2)));
    const Tensor x = normals({60, 9}, 2), y = normals({50, 9}, 3);
    CHECK(frechet_distance(x, y) == doctest::Approx(frechet_distance(y, x)));
    CHECK(std::abs(frechet_distance(x, x)) < 1e-10);
    CHECK_THROWS_AS(frechet_distance(x, normals({50, 8}, 3)), Error);
    CHECK_THROWS_AS(frechet_distance(x, normals({1, 9}, 3)), Error);
  }

  TEST_CASE("kernel_distance: the pairs one by one") {
    const Tensor x = normals({13, 4}, 4), y = add(normals({11, 4}, 5), 0.3);
    const Points a(x), b(y);
    double within_a = 0, within_b = 0, between = 0;
    for (std::int64_t i = 0; i < a.n; ++i)
      for (std::int64_t j = 0; j < a.n; ++j) within_a += i == j ? 0 : kernel(a, i, a, j);
    for (std::int64_t i = 0; i < b.n; ++i)
      for (std::int64_t j = 0; j < b.n; ++j) within_b += i == j ? 0 : kernel(b, i, b, j);
    for (std::int64_t i = 0; i < a.n; ++i)
      for (std::int64_t j = 0; j < b.n; ++j) between += kernel(a, i, b, j);
    CHECK(kernel_distance(x, y) ==
          doctest::Approx(within_a / (13 * 12) + within_b / (11 * 10) - 2 * between / (13 * 11)));
  }

  TEST_CASE("precision_recall: the definition point by point") {
    const Tensor real = normals({40, 3}, 6);
    const Tensor samples = add(mul(normals({35, 3}, 7), 0.6), 0.4);
    for (const std::int64_t k : {1, 3, 5}) {
      const PrecisionRecall result = precision_recall(real, samples, k);
      const auto neighbours = static_cast<std::size_t>(k);
      CHECK(result.precision ==
            doctest::Approx(share_inside(Points(samples), Points(real), neighbours)));
      CHECK(result.recall ==
            doctest::Approx(share_inside(Points(real), Points(samples), neighbours)));
    }
  }

  TEST_CASE("precision_recall: samples from one kind of two are good but not all") {
    Tensor real = normals({200, 2}, 8);
    for (std::int64_t i = 0; i < 100; ++i) real.mutable_data<double>()[2 * i] += 100;
    const Tensor samples = slice(normals({300, 2}, 9), 0, 0, 100);
    const PrecisionRecall result = precision_recall(real, samples);
    CHECK(result.precision > 0.8);
    CHECK(result.recall > 0.35);
    CHECK(result.recall <= 0.5);
    CHECK_THROWS_AS(precision_recall(real, slice(samples, 0, 0, 3)), Error);
  }

  TEST_CASE("nearest: index and exact distance, over more than one block") {
    const Tensor points = normals({300, 2, 3, 1}, 10);
    Tensor queries = slice(points, 0, 0, 290).clone();
    queries.mutable_data<double>()[6 * 288] += 1e-9;
    const Neighbours found = nearest(queries, points);
    for (std::int64_t i = 0; i < 290; ++i) CHECK(found.index[static_cast<std::size_t>(i)] == i);
    CHECK(found.distance[0] == 0);
    CHECK(found.distance[288] == doctest::Approx(1e-9).epsilon(1e-3));
  }

  TEST_CASE("accuracy counts the right ones") {
    const Tensor logits = Tensor::from<float>({1, 2, 0, 5, 4, 3, 0, 0, 1}, {3, 3});
    CHECK(accuracy(logits, Tensor::from<std::int64_t>({1, 0, 0})) == doctest::Approx(2.0 / 3));
  }
}
