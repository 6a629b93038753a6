// A model that is exact: the posterior mean of x_0 for data from a Gaussian mixture, in closed form
// at every level, and the exact solution of its probability-flow ODE.
//
// x_t = alpha x_0 + sigma eps makes of a component N(mu, v I) a component N(alpha mu,
// (alpha^2 v + sigma^2) I) with the same weight, so E[x_0 | x_t] is the mean of
// mu + alpha v / (alpha^2 v + sigma^2) (x_t - alpha mu) under the posterior of the components.
#pragma once

#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/tensor/ops/pointwise.h>

#include <array>
#include <cmath>
#include <numbers>

namespace ebb::test {

struct Component {
  double weight;
  std::vector<double> mean;
  double variance;
};

class Mixture {
 public:
  explicit Mixture(std::vector<Component> components) : components_(std::move(components)) {
    check(components_.size() <= 4, "mixture: {} components; at most 4", components_.size());
  }
  const std::vector<Component>& components() const { return components_; }

  // x (N, d) float64.
  Tensor x0(const Tensor& x, const Level& level) const {
    const std::int64_t n = x.size(0), d = x.size(1);
    Tensor result = Tensor::empty(x.shape(), DType::float64);
    const double* in = x.data<double>();
    double* out = result.mutable_data<double>();
    for (std::int64_t i = 0; i < n; ++i) posterior_mean(in + i * d, out + i * d, d, level);
    return result;
  }

  Denoiser denoiser() const {
    return [*this](const Tensor& x, const Level& level) {
      const Tensor clean = x0(x, level);
      return Estimate{clean, axpby(1 / level.sigma, x, -level.alpha / level.sigma, clean), {}};
    };
  }

  // One dimension: P(x_t < x). The flow keeps it, as trajectories cannot cross.
  double cdf(double x, const Level& level) const {
    double sum = 0;
    for (const Component& c : components_) {
      const double deviation =
          std::sqrt(level.alpha * level.alpha * c.variance + level.sigma * level.sigma);
      sum +=
          c.weight * std::erfc((level.alpha * c.mean[0] - x) / deviation / std::numbers::sqrt2) / 2;
    }
    return sum;
  }
  double density(double x, const Level& level) const {
    double sum = 0;
    for (const Component& c : components_) {
      const double deviation =
          std::sqrt(level.alpha * level.alpha * c.variance + level.sigma * level.sigma);
      const double z = (x - level.alpha * c.mean[0]) / deviation;
      sum += c.weight * std::exp(-z * z / 2) / deviation / std::sqrt(2 * std::numbers::pi);
    }
    return sum;
  }
  // The x at level whose cdf is p: bisection, then Newton.
  double quantile(double p, const Level& level) const {
    double low = -100, high = 100;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (cdf(middle, level) < p ? low : high) = middle;
    }
    double x = (low + high) / 2;
    for (int i = 0; i < 3; ++i) x -= (cdf(x, level) - p) / density(x, level);
    return x;
  }

 private:
  void posterior_mean(const double* x, double* out, std::int64_t d, const Level& level) const {
    const double alpha = level.alpha, noise = level.sigma * level.sigma;
    std::array<double, 4> weights;
    double largest = -std::numeric_limits<double>::infinity(), total = 0;
    for (std::size_t k = 0; k < components_.size(); ++k) {
      const Component& c = components_[k];
      const double variance = alpha * alpha * c.variance + noise;
      double square = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        const double away = x[j] - alpha * c.mean[static_cast<std::size_t>(j)];
        square += away * away;
      }
      weights[k] = std::log(c.weight * std::pow(variance, -static_cast<double>(d) / 2)) -
                   square / (2 * variance);
      largest = std::max(largest, weights[k]);
    }
    for (std::size_t k = 0; k < components_.size(); ++k)
      total += weights[k] = std::exp(weights[k] - largest);
    for (std::int64_t j = 0; j < d; ++j) out[j] = 0;
    for (std::size_t k = 0; k < components_.size(); ++k) {
      const Component& c = components_[k];
      const double gain = alpha * c.variance / (alpha * alpha * c.variance + noise);
      for (std::int64_t j = 0; j < d; ++j) {
        const double mean = c.mean[static_cast<std::size_t>(j)];
        out[j] += weights[k] / total * (mean + gain * (x[j] - alpha * mean));
      }
    }
  }

  std::vector<Component> components_;
};

// One dimension, two modes of different width.
inline Mixture line_mixture() { return Mixture({{0.4, {-1.0}, 0.15}, {0.6, {1.2}, 0.3}}); }
// Two dimensions, three modes.
inline Mixture plane_mixture() {
  return Mixture({{0.5, {-1.0, 0.4}, 0.05}, {0.3, {1.0, 1.0}, 0.1}, {0.2, {0.6, -1.2}, 0.02}});
}

// A variance-preserving path in continuous time: log s = 8 t - 5 for t in [0, 1], scaled. Ratios
// from 0.0067 to 20.
inline Path smooth_path(Scaling scaling = Scaling::variance_preserving) {
  return Path::continuous(
      scaling, [](double t) { return std::exp(8 * t - 5); },
      [](double s) { return (std::log(s) + 5) / 8; }, 0, 1);
}

// n steps even in t of smooth_path, from noise to its least noisy level.
inline TimeGrid smooth_grid(const Path& path, std::int64_t n) {
  std::vector<double> times;
  for (std::int64_t i = 0; i < n; ++i)
    times.push_back(1 - static_cast<double>(i) / static_cast<double>(n));
  return grid_of_times(path, times, path.at(0));
}

}  // namespace ebb::test
