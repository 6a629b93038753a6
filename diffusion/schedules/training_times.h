// Which t a training step sees. Times are float64 (N).
#pragma once

#include <ebb/diffusion/schedules/path.h>
#include <ebb/tensor/tensor.h>

#include <deque>

namespace ebb {

// u (N) in [0, 1) to path.time_at(u): uniform on a path whose times are not shifted, real.
Tensor uniform_times(const Path& path, const Tensor& u);
// u_i to (first + i + u_i) / total: one draw in each of `total` equal parts, of which these are
// first, ... (Kingma et al. 2021, app. I.1).
Tensor stratified(const Tensor& u, std::int64_t first, std::int64_t total);
// log s ~ N(mean, stddev^2) from normals z (N), held in the path's range (Karras et al. 2022,
// table 1).
Tensor lognormal_times(const Path& path, const Tensor& z, double mean = -1.2, double stddev = 1.2);
// Uniform u (N) in [0, 1) to 1 / (1 + e^-z), z ~ N(0, 1), in the same order: more near the middle,
// few at the ends (Esser et al. 2024, eq. 19).
Tensor logit_normal(const Tensor& u);

// Importance sampling of a table's steps by the second moment of the loss (Nichol & Dhariwal 2021,
// eq. 18): p_t in proportion to sqrt(E[L_t^2]) over the last `history` losses of each step,
// uniform until every step has that many.
class ImportanceSampler {
 public:
  explicit ImportanceSampler(std::int64_t T, std::int64_t history = 10);

  struct Draw {
    Tensor t;        // float64 (N), integers
    Tensor weights;  // float64 (N), 1 / (T p_t): the weighted loss has the uniform one's mean
  };
  // From uniforms u (N) in [0, 1).
  Draw draw(const Tensor& u) const;
  // The unweighted losses (N) at times t (N). A loss that is not finite is an Error.
  void update(const Tensor& t, const Tensor& losses);
  std::vector<double> probabilities() const;

 private:
  std::vector<std::deque<double>> losses_;  // of each step, oldest first
  std::size_t history_;
};

}  // namespace ebb
