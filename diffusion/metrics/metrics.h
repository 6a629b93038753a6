// How good samples are, from the features that a classifier sees in them (models/classifier.h).
//
// Features are (N, d), one row an image; all arithmetic is float64. Each measure compares the
// samples with real images; computed for real images held against others it gives the floor that
// no model can get under, and is to be read beside it.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

// |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)): the distance of the Gaussians of equal
// means and covariances (N - 1 in the denominator), Heusel et al. 2017, eq. 6. It shrinks as N
// grows, so compare at equal N only. N >= 2.
double frechet_distance(const Tensor& a, const Tensor& b);
// The same from means (d) and covariances (d, d), float64.
double frechet_distance(const Tensor& mean_a, const Tensor& covariance_a, const Tensor& mean_b,
                        const Tensor& covariance_b);

// Kernel distance: the unbiased estimate of the squared maximum mean discrepancy under the kernel
// (x.y / d + 1)^3 over all pairs (Binkowski et al. 2018, sec. 4). Zero in the mean for equal
// distributions, so it may be negative. N >= 2.
double kernel_distance(const Tensor& a, const Tensor& b);

// Improved precision and recall (Kynkaanniemi et al. 2019, eq. 1 and 2). A point lies in the
// manifold of a set if it is within the distance from some point of the set to that point's k-th
// nearest other. precision: the share of samples in the manifold of the real images (are they
// good?); recall: the share of real images in the manifold of the samples (are all kinds there?).
struct PrecisionRecall {
  double precision = 0, recall = 0;
};
PrecisionRecall precision_recall(const Tensor& real, const Tensor& samples, std::int64_t k = 3);

// For each row of `queries` the nearest row of `points`, by Euclidean distance. Rows are images
// (N, ...) or features; the first of equals wins.
struct Neighbours {
  std::vector<double> distance;
  std::vector<std::int64_t> index;
};
Neighbours nearest(const Tensor& queries, const Tensor& points);

// The share of rows of `logits` (N, classes) whose largest is at the label, int64 (N).
double accuracy(const Tensor& logits, const Tensor& labels);

}  // namespace ebb
