#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/ops/symmetric_eigen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ebb {

namespace {

// Rows of float64, of any (N, ...).
Tensor rows(std::string_view operation, const Tensor& x, std::int64_t least) {
  check(x.rank() >= 2 && x.size(0) >= least,
        "{}: features of shape {}; (N, d) with N at least {} is needed", operation, x.shape(),
        least);
  return x.to(DType::float64).to(Device::cpu).reshape({x.size(0), -1});
}

void check_width(std::string_view operation, const Tensor& a, const Tensor& b) {
  check(a.size(1) == b.size(1),
        "{}: rows of {} and of {} numbers; both sets need the same features", operation, a.size(1),
        b.size(1));
}

Tensor covariance(const Tensor& x, const Tensor& mean) {
  const Tensor centered = sub(x, mean);
  return mul(bmm(centered, centered, /*trans_a=*/true), 1.0 / static_cast<double>(x.size(0) - 1));
}

// V diag(f(values)) V^T for f = sqrt, negative rounding errors taken as zero.
Tensor matrix_sqrt(const Tensor& a) {
  const Eigen eigen = symmetric_eigen(a);
  const Tensor roots = sqrt(relu(eigen.values));
  return bmm(mul(eigen.vectors, roots), eigen.vectors, false, /*trans_b=*/true);
}

double trace(const Tensor& a) {
  const std::vector<double> values = a.to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(a.size(0)) + 1)
    sum += values[i];
  return sum;
}

// (x.y / d + 1)^3 from x.y.
Tensor kernel_of(const Tensor& products, std::int64_t d) {
  return pow(add(mul(products, 1.0 / static_cast<double>(d)), 1), 3);
}

// The sum of the kernel over all pairs, without those of equal number if `distinct`.
double kernel_sum(const Tensor& x, const Tensor& y, bool distinct) {
  constexpr std::int64_t block = 512;
  double total = distinct ? -sum(kernel_of(sum(square(x), {1}), x.size(1))).item() : 0.0;
  for (std::int64_t first = 0; first < x.size(0); first += block)
    total +=
        sum(kernel_of(bmm(slice(x, 0, first, first + block), y, false, true), x.size(1))).item();
  return total;
}

// Calls see(first, distances) with the Euclidean distances (block, points) of the queries from
// `first` on.
template <class See>
void each_block_of_distances(const Tensor& queries, const Tensor& points, See see) {
  constexpr std::int64_t block = 256;
  const Tensor p = sum(square(points), {1});
  for (std::int64_t first = 0; first < queries.size(0); first += block) {
    const Tensor q = slice(queries, 0, first, first + block);
    const Tensor squares =
        add(sub(sum(square(q), {1}, true), mul(bmm(q, points, false, true), 2)), p);
    see(first, sqrt(clamp(squares, 0, std::numeric_limits<double>::infinity())));
  }
}

std::vector<double> radii(const Tensor& points, std::int64_t k) {
  std::vector<double> result;
  const std::size_t n = static_cast<std::size_t>(points.size(0));
  each_block_of_distances(points, points, [&](std::int64_t first, const Tensor& distances) {
    std::vector<double> d = distances.to_vector<double>();
    for (std::int64_t i = 0; i < distances.size(0); ++i) {
      const auto row = d.begin() + i * static_cast<std::ptrdiff_t>(n);
      // Its own distance is zero but for rounding: it must count as the nearest.
      row[first + i] = -1;
      std::nth_element(row, row + k, row + static_cast<std::ptrdiff_t>(n));
      result.push_back(row[k]);
    }
  });
  return result;
}

double share_inside(const Tensor& queries, const Tensor& points, std::int64_t k) {
  const Tensor r = Tensor::from(radii(points, k));
  double outside = 0;
  each_block_of_distances(queries, points, [&](std::int64_t, const Tensor& distances) {
    outside += sum(amin(less(broadcast_to(r, distances.shape()), distances), {1})).item();
  });
  return 1 - outside / static_cast<double>(queries.size(0));
}

}  // namespace

double frechet_distance(const Tensor& mean_a, const Tensor& covariance_a, const Tensor& mean_b,
                        const Tensor& covariance_b) {
  const Tensor root = matrix_sqrt(covariance_a);
  // (S_a S_b)^(1/2) has the trace of (S_a^(1/2) S_b S_a^(1/2))^(1/2), which is symmetric.
  const Tensor squares = symmetric_eigen(bmm(bmm(root, covariance_b), root)).values;
  const double cross = sum(sqrt(relu(squares))).item();
  return sum(square(sub(mean_a, mean_b))).item() + trace(covariance_a) + trace(covariance_b) -
         2 * cross;
}

double frechet_distance(const Tensor& a, const Tensor& b) {
  const Tensor x = rows("frechet_distance", a, 2), y = rows("frechet_distance", b, 2);
  check_width("frechet_distance", x, y);
  const Tensor mean_x = mean(x, {0}), mean_y = mean(y, {0});
  return frechet_distance(mean_x, covariance(x, mean_x), mean_y, covariance(y, mean_y));
}

double kernel_distance(const Tensor& a, const Tensor& b) {
  const Tensor x = rows("kernel_distance", a, 2), y = rows("kernel_distance", b, 2);
  check_width("kernel_distance", x, y);
  const double n = static_cast<double>(x.size(0)), m = static_cast<double>(y.size(0));
  return kernel_sum(x, x, true) / (n * (n - 1)) + kernel_sum(y, y, true) / (m * (m - 1)) -
         2 * kernel_sum(x, y, false) / (n * m);
}

PrecisionRecall precision_recall(const Tensor& real, const Tensor& samples, std::int64_t k) {
  check(k >= 1, "precision_recall: k is {}; it must be at least 1", k);
  const Tensor x = rows("precision_recall", real, k + 1);
  const Tensor y = rows("precision_recall", samples, k + 1);
  check_width("precision_recall", x, y);
  return {share_inside(y, x, k), share_inside(x, y, k)};
}

Neighbours nearest(const Tensor& queries, const Tensor& points) {
  check(queries.rank() >= 2 && points.rank() >= 2 && points.size(0) >= 1,
        "nearest: {} among {}; rows of points are needed", queries.shape(), points.shape());
  const Tensor q = queries.to(Device::cpu).reshape({queries.size(0), -1});
  const Tensor p = points.to(Device::cpu).reshape({points.size(0), -1});
  check_width("nearest", q, p);
  Neighbours result;
  each_block_of_distances(q, p, [&](std::int64_t, const Tensor& distances) {
    const std::vector<std::int64_t> at = argmax(neg(distances), 1).to_vector<std::int64_t>();
    result.index.insert(result.index.end(), at.begin(), at.end());
  });
  // Taken again as differences: those of products lose digits near zero.
  const Tensor found = index_select(p, 0, Tensor::from(result.index));
  result.distance = sqrt(sum(square(sub(q, found)), {1})).to_vector<double>();
  return result;
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  check(logits.rank() == 2 && labels.rank() == 1 && logits.size(0) == labels.size(0) &&
            labels.size(0) > 0,
        "accuracy: logits {} and labels {}; (N, classes) and (N) are needed", logits.shape(),
        labels.shape());
  return mean(equal(argmax(logits, 1), labels).to(DType::float64)).item();
}

}  // namespace ebb
