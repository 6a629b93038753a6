#include <ebb/diffusion/schedules/training_times.h>
#include <ebb/tensor/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace ebb {
namespace {

// Every step keeps this part of the uniform probability, so that none is forgotten.
constexpr double uniform_part = 0.001;

template <class F>
Tensor mapped(const Tensor& x, F&& f) {
  std::vector<double> values = x.to_vector<double>();
  for (double& v : values) v = f(v);
  return Tensor::from(values, x.shape());
}

}  // namespace

Tensor uniform_times(const Path& path, const Tensor& u) {
  return mapped(u, [&](double v) { return path.time_at(v); });
}

Tensor stratified(const Tensor& u, std::int64_t first, std::int64_t total) {
  check(first >= 0 && first + u.numel() <= total,
        "stratified: parts {} to {} of {}; they must lie within", first, first + u.numel(), total);
  double i = static_cast<double>(first);
  return mapped(u, [&](double v) { return (i++ + v) / static_cast<double>(total); });
}

Tensor lognormal_times(const Path& path, const Tensor& z, double mean, double stddev) {
  check(stddev > 0, "lognormal times: standard deviation {}; it must be positive", stddev);
  return mapped(z, [&](double v) { return path.at_ratio(std::exp(mean + stddev * v)).t; });
}

Tensor logit_normal(const Tensor& u) {
  return mapped(u, [](double v) {
    double low = -9, high = 9;  // z lies between; beyond them is less than a double tells from 1
    for (int halving = 0; halving < 60; ++halving) {
      const double z = (low + high) / 2;
      (std::erfc(-z / std::numbers::sqrt2) / 2 < v ? low : high) = z;
    }
    return 1 / (1 + std::exp(-low));
  });
}

ImportanceSampler::ImportanceSampler(std::int64_t T, std::int64_t history) {
  check(T >= 1 && history >= 1,
        "importance sampler: {} steps, {} losses each; at least 1 is needed", T, history);
  losses_.resize(static_cast<std::size_t>(T));
  history_ = static_cast<std::size_t>(history);
}

std::vector<double> ImportanceSampler::probabilities() const {
  const double uniform = 1 / static_cast<double>(losses_.size());
  std::vector<double> p;
  for (const std::deque<double>& known : losses_) {
    if (known.size() < history_) return std::vector<double>(losses_.size(), uniform);
    const double squares = std::inner_product(known.begin(), known.end(), known.begin(), 0.0);
    p.push_back(std::sqrt(squares / static_cast<double>(history_)));
  }
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& v : p)
    v = total > 0 ? (1 - uniform_part) * v / total + uniform_part * uniform : uniform;
  return p;
}

ImportanceSampler::Draw ImportanceSampler::draw(const Tensor& u) const {
  const std::vector<double> p = probabilities();
  std::vector<double> cumulative(p.size());
  std::partial_sum(p.begin(), p.end(), cumulative.begin());
  std::vector<double> times, weights;
  for (const double v : u.to_vector<double>()) {
    const auto found =
        std::upper_bound(cumulative.begin(), cumulative.end(), v * cumulative.back());
    const auto t = std::min(static_cast<std::size_t>(found - cumulative.begin()), p.size() - 1);
    times.push_back(static_cast<double>(t));
    weights.push_back(1 / (static_cast<double>(p.size()) * p[t]));
  }
  return {Tensor::from(times, u.shape()), Tensor::from(weights, u.shape())};
}

void ImportanceSampler::update(const Tensor& t, const Tensor& losses) {
  check(t.shape() == losses.shape(), "importance sampler: times {} but losses {}", t.shape(),
        losses.shape());
  const std::vector<double> times = t.to_vector<double>(), values = losses.to_vector<double>();
  for (std::size_t i = 0; i < times.size(); ++i) {
    check(times[i] >= 0 && times[i] < static_cast<double>(losses_.size()),
          "importance sampler: t = {} is outside [0, {}]", times[i], losses_.size() - 1);
    check(std::isfinite(values[i]), "importance sampler: the loss at t = {} is {}", times[i],
          values[i]);
    std::deque<double>& known = losses_[static_cast<std::size_t>(times[i])];
    known.push_back(values[i]);
    if (known.size() > history_) known.pop_front();
  }
}

}  // namespace ebb
