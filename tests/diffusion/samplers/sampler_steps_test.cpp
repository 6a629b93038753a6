// Single steps of samplers against their formulas, at numbers where every term shows.
#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

#include "tests/normals.h"

namespace ebb::test {
namespace {

Path linear_path(std::int64_t T) { return Path::discrete(alphas_cumprod(linear_betas(T))); }

// Says x_0 = 0 and eps = 0, so that all a step leaves is x scaled and noise.
Denoiser silent(std::vector<Level>* asked, double variance = 0) {
  return [=](const Tensor& x, const Level& level) {
    if (asked) asked->push_back(level);
    return Estimate{x * 0.0, x * 0.0, x * 0.0 + variance};
  };
}

TEST_CASE("the model is never shown clean data") {
  const Tensor x = normals({2, 3}, 1);
  for (const Path& path : {linear_path(50), Path::flow()})
    for (const SamplerInfo& info : samplers())
      for (const std::int64_t steps : {1, 2, 3, 4, 10}) {
        std::vector<Level> asked;
        run_sampler(info.name, {silent(&asked), path, make_grid(path, steps), philox_noise(1), {}},
                    x);
        CAPTURE(info.name);
        CHECK(asked.size() >= static_cast<std::size_t>(steps));
        for (const Level& level : asked) CHECK(level.sigma > 0);
      }
}

TEST_CASE("churn raises a level by min(churn / N, sqrt 2 - 1), inside its interval") {
  const Path path = Path::edm();
  const TimeGrid grid{path.at_ratio(8), path.at_ratio(2), path.at_ratio(0.5), path.clean()};
  const auto asked = [&](const Churn& churn, bool heun_too) {
    std::vector<Level> levels;
    const Sampling s{silent(&levels), path, grid, philox_noise(1), {}};
    const Tensor x = normals({1, 2}, 1);
    heun_too ? heun(s, x, churn) : euler_churn(s, x, churn);
    std::vector<double> ratios;
    for (const Level& level : levels) ratios.push_back(level.ratio());
    return ratios;
  };
  const auto close = [](const std::vector<double>& a, const std::vector<double>& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-9));
  };
  close(asked({}, false), {8, 2, 0.5});
  close(asked({.churn = 0.3}, false), {8.8, 2.2, 0.55});
  close(asked({.churn = 100}, false), {8 * std::sqrt(2), 2 * std::sqrt(2), 0.5 * std::sqrt(2)});
  close(asked({.churn = 0.3, .low = 1}, false), {8.8, 2.2, 0.5});
  close(asked({.churn = 0.3, .high = 5}, false), {8, 2.2, 0.55});
  close(asked({.churn = 0.3, .low = 1, .high = 5}, true), {8, 2, 2.2, 0.5, 0.5});
}

TEST_CASE("consistency leaves room for its least noise on a path with alpha below 1") {
  const Path path = linear_path(100);
  const Level last = path.at(10);
  const TimeGrid grid{path.at(99), last, path.clean()};
  std::vector<Tensor> seen;
  const Observer keep = [&](const StepView& view) { seen.push_back(view.x); };
  consistency({silent(nullptr), path, grid, philox_noise(8), keep}, normals({1, 4}, 1), 0.02);
  const double sigma = std::sqrt(last.sigma * last.sigma - last.alpha * last.alpha * 0.0004);
  CHECK(relative_error(seen[0], philox_noise(8)(seen[0], 0) * sigma) < 1e-12);
}

TEST_CASE("lcm mixes x and x_0 by its boundary condition") {
  const Path path = linear_path(100);
  const Tensor x = normals({1, 4}, 1), x0 = normals({1, 4}, 2);
  const Denoiser sure = [&](const Tensor& y, const Level&) { return Estimate{x0, y, {}}; };
  for (const double t : {0.0, 1.0, 60.0}) {
    const TimeGrid grid{path.at(t), path.clean()};
    const Tensor y = lcm({sure, path, grid, {}, {}}, x, {.sigma_data = 0.5, .time_scale = 0.3});
    const double u = 0.3 * t, total = u * u + 0.25;
    CHECK(relative_error(y, axpby(0.25 / total, x, u / std::sqrt(total), x0)) < 1e-12);
  }
}

TEST_CASE("a learned variance goes from the posterior's at -1 to that of the unit at 1") {
  const Path path = linear_path(100);
  const Level from = path.at(60), to = path.at(40);
  const Tensor x = normals({1, 4}, 1);
  const double small = posterior(from, to).variance, large = unit_posterior_variance(from, to);
  CHECK(small < 0.9 * large);
  for (const double v : {-1.0, -0.3, 0.0, 1.0}) {
    const Sampling s{silent(nullptr, v), path, {from, to}, philox_noise(3), {}};
    const double variance = std::exp((v + 1) / 2 * std::log(large) + (1 - v) / 2 * std::log(small));
    const Tensor expected =
        axpby(posterior(from, to).x, x, std::sqrt(variance), philox_noise(3)(x, 0));
    CHECK(relative_error(ddpm(s, x, DdpmVariance::learned_range), expected) < 1e-12);
  }
}

}  // namespace
}  // namespace ebb::test
