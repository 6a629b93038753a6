// Every stochastic sampler with many steps reaches the distribution that the exact model stands
// for.
//
// Each sampler is held to eight expectations that are known exactly: both means, the three second
// moments, two mixture weights (the mean posterior probability of a component is its weight), and
// the mean of sum_k r_k |x - mu_k|^2 / v_k, which is the number of dimensions. A correct sampler
// exceeds 4.5 standard errors in one of them with probability 6.8e-6, so one of the 80 checks here
// gives a false alarm for one seed in 1800; the seeds are fixed.
#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>

#include "tests/diffusion/samplers/mixture.h"
#include "tests/worse.h"

namespace ebb::test {
namespace {

constexpr double limit = 4.5;

// Draws from the mixture at a level.
Tensor exact_draws(const Mixture& mixture, const Level& level, std::int64_t n, std::int64_t d) {
  const std::vector<double> u =
      philox_uniform({n}, {7, Purpose::other, 0, 0}, DType::float64).to_vector<double>();
  const std::vector<double> z =
      philox_normal({n, d}, {7, Purpose::other, 1, 0}, DType::float64).to_vector<double>();
  std::vector<double> x;
  for (std::int64_t i = 0; i < n; ++i) {
    double left = u[static_cast<std::size_t>(i)];
    std::size_t k = 0;
    while (k + 1 < mixture.components().size() && left >= mixture.components()[k].weight)
      left -= mixture.components()[k++].weight;
    const Component& c = mixture.components()[k];
    const double deviation =
        std::sqrt(level.alpha * level.alpha * c.variance + level.sigma * level.sigma);
    for (std::int64_t j = 0; j < d; ++j)
      x.push_back(level.alpha * c.mean[static_cast<std::size_t>(j)] +
                  deviation * z[static_cast<std::size_t>(i * d + j)]);
  }
  return Tensor::from(x, {n, d});
}

struct Statistic {
  double expected, sum = 0, squares = 0;
};

// Standard errors away from the truth, of each statistic.
std::vector<double> deviations(const Mixture& mixture, const Level& level, const Tensor& x) {
  const std::int64_t n = x.size(0);
  std::vector<Component> parts = mixture.components();
  std::vector<Statistic> s{{0}, {0}, {0}, {0}, {0}, {parts[0].weight}, {parts[1].weight}, {2}};
  for (Component& c : parts) {
    c.variance = level.alpha * level.alpha * c.variance + level.sigma * level.sigma;
    for (double& m : c.mean) m *= level.alpha;
    s[0].expected += c.weight * c.mean[0];
    s[1].expected += c.weight * c.mean[1];
    s[2].expected += c.weight * (c.mean[0] * c.mean[0] + c.variance);
    s[3].expected += c.weight * c.mean[0] * c.mean[1];
    s[4].expected += c.weight * (c.mean[1] * c.mean[1] + c.variance);
  }
  const double* p = x.data<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    const double a = p[2 * i], b = p[2 * i + 1];
    double total = 0, distance = 0;
    std::vector<double> r;
    for (const Component& c : parts) {
      const double square = (std::pow(a - c.mean[0], 2) + std::pow(b - c.mean[1], 2)) / c.variance;
      r.push_back(c.weight / c.variance * std::exp(-square / 2));
      total += r.back();
      distance += r.back() * square;
    }
    const double values[]{a, b, a * a, a * b, b * b, r[0] / total, r[1] / total, distance / total};
    for (std::size_t j = 0; j < s.size(); ++j) {
      s[j].sum += values[j];
      s[j].squares += values[j] * values[j];
    }
  }
  std::vector<double> result;
  for (const Statistic& v : s) {
    const double count = static_cast<double>(n), mean = v.sum / count;
    result.push_back((mean - v.expected) / std::sqrt((v.squares / count - mean * mean) / count));
  }
  return result;
}

TEST_CASE("stochastic samplers reach the exact model's distribution") {
  using Method = std::function<Tensor(const Sampling&, Tensor)>;
  const std::vector<std::pair<std::string, Method>> methods{
      {"ddpm", [](const Sampling& s, Tensor x) { return ddpm(s, x); }},
      {"ddpm, large variance",
       [](const Sampling& s, Tensor x) { return ddpm(s, x, DdpmVariance::large); }},
      {"ddim, eta 0.5", [](const Sampling& s, Tensor x) { return ddim(s, x, 0.5); }},
      {"ddim, eta 1", [](const Sampling& s, Tensor x) { return ddim(s, x, 1); }},
      {"euler_a", [](const Sampling& s, Tensor x) { return euler_ancestral(s, x); }},
      {"kdpm2_a", [](const Sampling& s, Tensor x) { return kdpm2_ancestral(s, x); }},
      {"heun, churn", [](const Sampling& s, Tensor x) { return heun(s, x, {.churn = 40}); }},
      {"edm_euler, churn",
       [](const Sampling& s, Tensor x) { return euler_churn(s, x, {.churn = 10}); }},
      {"dpmpp_2m_sde",
       [](const Sampling& s, Tensor x) {
         return dpm_solver_multistep(s, x, {2, DpmVariant::midpoint, true, false});
       }},
      {"dpmpp_3m_sde",
       [](const Sampling& s, Tensor x) {
         return dpm_solver_multistep(s, x, {3, DpmVariant::heun, true, false});
       }},
  };
  const Mixture mixture = plane_mixture();
  const Path path = smooth_path();
  const TimeGrid grid = smooth_grid(path, 250);
  const Tensor start = exact_draws(mixture, grid.front(), 3000, 2);
  for (const auto& named : methods) {
    const std::string& name = named.first;
    const Tensor x = named.second({mixture.denoiser(), path, grid, philox_noise(3), {}}, start);
    const std::vector<double> z = deviations(mixture, grid.back(), x);
    for (std::size_t j = 0; j < z.size(); ++j)
      CHECK_MESSAGE(std::abs(z[j]) < limit, name << ": statistic " << j << " is " << z[j]
                                                 << " standard errors from the truth");
  }
  // The checks have power: 15% too much or too little noise shows.
  const NoiseSource honest = philox_noise(3);
  for (const double scale : {0.85, 1.15}) {
    const NoiseSource wrong = [&](const Tensor& like, std::int64_t draw) {
      return honest(like, draw) * scale;
    };
    const Tensor x = ddpm({mixture.denoiser(), path, grid, wrong, {}}, start);
    CHECK(std::abs(deviations(mixture, grid.back(), x).back()) > limit);
  }
}

// In one dimension the flow's exact solution at sigma = 0 is known: an ideal consistency model.
Denoiser ideal_consistency(const Mixture& mixture) {
  return [mixture](const Tensor& x, const Level& level) {
    std::vector<double> ends;
    for (const double value : x.to_vector<double>())
      ends.push_back(mixture.quantile(mixture.cdf(value, level), {0, 1, 0}));
    const Tensor x0 = Tensor::from(ends, x.shape());
    return Estimate{x0, axpby(1 / level.sigma, x, -level.alpha / level.sigma, x0), {}};
  };
}

TEST_CASE("samplers for distilled models are exact with an ideal model in few steps") {
  const Mixture mixture = line_mixture();
  const Path path = smooth_path();
  for (const std::int64_t steps : {1, 3}) {
    TimeGrid grid = smooth_grid(path, steps);
    grid.back() = path.clean();
    const Tensor start = exact_draws(mixture, grid.front(), 4000, 1);
    const Sampling s{ideal_consistency(mixture), path, grid, philox_noise(5), {}};
    // With a large time scale LCM's boundary terms vanish, and it returns the model's x_0.
    for (const Tensor& x : {consistency(s, start), lcm(s, start, {0.5, 1e9})}) {
      // The cdf of the samples must be uniform: Kolmogorov's statistic, exceeded by a correct
      // sampler with probability 2 e^{-2 * 2.5^2} = 7.5e-6.
      std::vector<double> u;
      for (const double value : x.to_vector<double>()) u.push_back(mixture.cdf(value, {0, 1, 0}));
      std::sort(u.begin(), u.end());
      double worst = 0;
      for (std::size_t i = 0; i < u.size(); ++i)
        for (const std::size_t step : {i, i + 1})
          worst = test::worse_of(worst, std::abs(u[i] - static_cast<double>(step) / 4000.0));
      CHECK(worst * std::sqrt(4000.0) < 2.5);
    }
  }
}

TEST_CASE("tcd keeps the variance of every level it passes, whatever eta") {
  // Data that is one point: its trajectories are known, x_s = alpha_s x_0 + sigma_s eps.
  const Path path = smooth_path();
  const TimeGrid grid = grid_of_times(path, {1, 0.8, 0.6}, path.at(0.5));
  const Denoiser point = [](const Tensor& x, const Level& level) {
    const Tensor x0 = Tensor::full(x.shape(), 0.7, DType::float64);
    return Estimate{x0, axpby(1 / level.sigma, x, -level.alpha / level.sigma, x0), {}};
  };
  const Level first = grid.front(), last = grid.back();
  const Tensor z = philox_normal({20000, 1}, {1, Purpose::other, 0, 0}, DType::float64);
  const Tensor start = z * first.sigma + 0.7 * first.alpha;
  for (const double eta : {0.0, 0.3, 1.0}) {
    const Tensor x = tcd({point, path, grid, philox_noise(2), {}}, start, eta);
    const Tensor centred = x - 0.7 * last.alpha;
    const double n = 20000, variance = last.sigma * last.sigma;
    // Standard errors of the mean and the variance of a normal sample; false alarms as above.
    CHECK(std::abs(mean(centred).item()) < limit * std::sqrt(variance / n));
    CHECK(std::abs(mean(square(centred)).item() - variance) < limit * variance * std::sqrt(2 / n));
  }
}

}  // namespace
}  // namespace ebb::test
