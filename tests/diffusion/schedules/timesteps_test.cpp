#include <doctest/doctest.h>
#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/layout.h>

#include <cmath>

namespace ebb::test {
namespace {

using Times = std::vector<double>;

TEST_CASE("spacings of a table") {
  CHECK(trailing_times(1000, 5) == Times{999, 799, 599, 399, 199});
  CHECK(trailing_times(1000, 3) == Times{999, 666, 332});
  CHECK(trailing_times(200, 200).front() == 199);
  CHECK(trailing_times(200, 200).back() == 0);
  CHECK(leading_times(1000, 5) == Times{800, 600, 400, 200, 0});
  CHECK(leading_times(1000, 5, 1) == Times{801, 601, 401, 201, 1});
  CHECK(linspace_times(1000, 4) == Times{999, 666, 333, 0});
  CHECK(linspace_times(1100, 3) == Times{1099, 549.5, 0});
  CHECK(trailing_times(7, 1) == Times{6});

  for (const auto& f : {trailing_times, linspace_times}) {
    CHECK_THROWS_WITH_AS(f(10, 11), doctest::Contains("from 1 to 10 are possible"), Error);
    CHECK_THROWS_AS(f(10, 0), Error);
    CHECK_THROWS_AS(f(10, -1), Error);
  }
  CHECK_THROWS_AS(leading_times(10, 11), Error);
  CHECK_THROWS_AS(leading_times(10, 10, 1), Error);
  CHECK_THROWS_WITH_AS(parse_spacing("trail"), doctest::Contains("trailing, leading"), Error);
  CHECK(parse_spacing("karras") == Spacing::karras);
}

TEST_CASE("grids of ratios") {
  const Times karras = karras_ratios(3, 1, 128);  // 128^(1/7) = 2
  CHECK(karras[0] == 128);
  CHECK(karras[1] == doctest::Approx(std::pow(1.5, 7)).epsilon(1e-14));
  CHECK(karras[2] == 1);
  const Times even = exponential_ratios(4, 1, 8);
  CHECK(even[1] == doctest::Approx(4).epsilon(1e-14));
  CHECK(even[2] == doctest::Approx(2).epsilon(1e-14));
  CHECK_THROWS_AS(karras_ratios(5, 0, 1), Error);
  CHECK_THROWS_AS(karras_ratios(0, 1, 2), Error);
  CHECK_THROWS_AS(exponential_ratios(5, 2, 1), Error);

  // A model that predicts a flow, asked on Karras' ratios from 0.01 to 200: sigma = s / (1 + s),
  // and its times are thousandths of sigma, cut to integers.
  const Path flow = Path::flow(1, 1000);
  const TimeGrid grid = grid_of_ratios(flow, karras_ratios(5, 0.01, 200), flow.clean());
  const Times sigmas{0.9950248599052429, 0.9787454605102539,   0.8774884343147278,
                     0.3604971766471863, 0.009900986216962337, 0.0};
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    CHECK(std::abs(grid[i].sigma - sigmas[i]) <= 1e-8 + 1e-5 * sigmas[i]);
    if (i < 5) CHECK(std::floor(grid[i].t) == std::floor(sigmas[i] * 1000));
  }
}

TEST_CASE("grids of a path end in clean data") {
  const Path table = Path::discrete(alphas_cumprod(linear_betas(1000)));
  for (const Spacing spacing : {Spacing::trailing, Spacing::leading, Spacing::linspace,
                                Spacing::karras, Spacing::exponential}) {
    const TimeGrid grid = make_grid(table, 10, spacing);
    CHECK(grid.size() == 11);
    CHECK(grid.back().sigma == 0);
    CHECK(grid.front().t == (spacing == Spacing::leading ? 900 : 999));
    for (std::size_t i = 0; i + 1 < grid.size(); ++i) CHECK(grid[i].ratio() > grid[i + 1].ratio());
  }
  // The cosine path goes on to s = 20,000, where there is nothing but noise.
  const Path cosine = Path::discrete(alphas_cumprod(cosine_betas(1000)));
  CHECK(make_grid(cosine, 10).front().t == 999);
  for (const Spacing spacing : {Spacing::karras, Spacing::exponential}) {
    const TimeGrid grid = make_grid(cosine, 10, spacing);
    CHECK(grid.size() == 11);
    CHECK(grid.front().lambda() == doctest::Approx(-5.1));
    CHECK(grid.front().t < 999);
  }
  const TimeGrid flow = make_grid(Path::flow(), 4);
  CHECK(flow[0].sigma == 1);
  CHECK(flow[1].sigma == doctest::Approx(0.75));
  CHECK(flow[4].sigma == 0);
  CHECK_THROWS_AS(make_grid(Path::flow(), 4, Spacing::leading), Error);
  CHECK_THROWS_AS(make_grid(Path::flow(), 0), Error);
  CHECK(make_grid(Path::edm(), 5, Spacing::karras)[0].sigma == doctest::Approx(80));
  CHECK(make_grid(Path::edm(0.01, 500), 5, Spacing::karras)[0].sigma == doctest::Approx(500));
}

TEST_CASE("variances between levels") {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(1000)));
  const auto variance = [&](double t, double s) {
    return posterior(path.at(t), path.at(s)).variance;
  };
  CHECK(std::abs(variance(0, -1) - 0.0) < 1e-5);
  CHECK(std::abs(variance(487, 486) - 0.00979) < 1e-5);
  CHECK(std::abs(variance(999, 998) - 0.02) < 1e-5);
  CHECK(variance(0, 0) == 0);
  CHECK(std::abs(variance(420, 400) - 0.14771) < 1e-5);
  CHECK(std::abs(variance(980, 960) - 0.32460) < 1e-5);
  CHECK(transition_variance(path.at(999), path.at(998)) == doctest::Approx(0.02).epsilon(1e-10));
  // The posterior's mean of x_t = alpha_t x_0 is alpha_s x_0.
  const Posterior q = posterior(path.at(600), path.at(400));
  CHECK(q.x * path.alpha(600) + q.x0 == doctest::Approx(path.alpha(400)).epsilon(1e-12));
}

// The times at which a sampler asks its model.
Times asked(const std::function<void(const Sampling&)>& run, const Path& path, TimeGrid grid) {
  Times times;
  const Denoiser denoiser = [&](const Tensor& x, const Level& level) {
    times.push_back(level.t);
    return Estimate{x, x, {}};
  };
  run({denoiser, path, std::move(grid), {}, {}});
  return times;
}

TEST_CASE("the times that samplers ask at") {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(1000)));
  const Tensor x = Tensor::ones({1, 1});
  const TimeGrid grid = grid_of_times(path, leading_times(1000, 10, 1), path.clean());
  CHECK(asked([&](const Sampling& s) { pndm(s, x); }, path, grid) ==
        Times{901, 851, 851, 801, 801, 751, 751, 701, 701, 651, 651, 601, 601, 501, 401, 301, 201,
              101, 1});
  // An inversion asks at the level it goes to.
  const TimeGrid up = grid_of_times(path, {-1, 1, 201, 401, 601}, path.at(801));
  CHECK(asked([&](const Sampling& s) { ddim_inversion(s, x); }, path, up) ==
        Times{1, 201, 401, 601, 801});
  // Each step of a list of times ends at the next of the list.
  const TimeGrid custom = grid_of_times(path, {100, 87, 50, 1, 0}, path.clean());
  Times ends;
  const Sampling s{[](const Tensor& y, const Level&) {
                     return Estimate{y, y, {}};
                   },
                   path, custom, philox_noise(0),
                   [&](const StepView& view) { ends.push_back(view.level.t); }};
  ddpm(s, x);
  CHECK(ends == Times{87, 50, 1, 0, -1});
}

TEST_CASE("embeddings of times, as diffusers has them") {
  std::vector<float> t;
  for (int i = 0; i < 128; ++i) t.push_back(static_cast<float>(i));
  const auto same = [&](const TimestepEmbeddingOptions& options, const Times& expected) {
    const Tensor all = timestep_embedding(Tensor::from(t), 64, options);
    const Times part = slice(slice(all, 0, 23, 26), 1, 47, 50).to_vector<double>();
    for (std::size_t i = 0; i < 9; ++i) CHECK(std::abs(part[i] - expected[i]) < 1e-3);
  };
  same({false, 1, 1}, {0.9646, 0.9804, 0.9892, 0.9615, 0.9787, 0.9882, 0.9582, 0.9769, 0.9872});
  same({true, 0, 1}, {0.3019, 0.2280, 0.1716, 0.3146, 0.2377, 0.1790, 0.3272, 0.2474, 0.1864});
  same({false, 1, 1000},
       {-0.9801, -0.9464, -0.9349, -0.3952, 0.8887, -0.9709, 0.5299, -0.2853, -0.9927});
}

}  // namespace
}  // namespace ebb::test
