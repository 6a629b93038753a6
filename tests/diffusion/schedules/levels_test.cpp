// No level is worked out again from a time that was rounded: every path, every wrapper, its first
// and last level, in float32.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/training_times.h>

#include <cmath>

#include "tests/capture.h"
#include "tests/diffusion/samplers/mixture.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

struct NamedPath {
  const char* name;
  Path path;
};

std::vector<NamedPath> all_paths() {
  const auto table = [](const char* name) { return alphas_cumprod_named(name, 1000); };
  return {{"linear", Path::discrete(table("linear"))},
          {"cosine", Path::discrete(table("cosine"))},
          {"zero SNR", Path::discrete(zero_terminal_snr(table("linear")))},
          {"tutorial's", Path::discrete(alphas_cumprod(cosine_betas(200, 0.008, 0.9999, 1e-4)))},
          {"exploding", Path::discrete(table("linear")).rescaled(Scaling::variance_exploding)},
          {"edm", Path::edm()},
          {"edm from 0.01 to 50", Path::edm(0.01, 50)},
          {"flow", Path::flow()},
          {"flow, shift 3", Path::flow(3, 1000)},
          {"flow of 0.1", Path::flow(1, 0.1)},
          {"log s from -5 to 3", smooth_path()}};
}

TEST_CASE("every wrapper is shown the level itself, at a path's first and last") {
  const Tensor x = normals({2, 3}, 1, DType::float32);
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1});
  const Tensor nothing = Tensor::full({2}, 2, DType::int64);
  for (const auto& [name, path] : all_paths()) {
    CAPTURE_BINDING(name);
    for (const double end : {path.t_noise(), path.t_data()}) {
      const Level level = path.at(end);
      if (level.sigma == 0) continue;
      std::vector<Level> shown;
      const ConditionalPredictor model = [&](const Tensor& y, const Level& at,
                                             const Conditioning&) {
        shown.push_back(at);
        return y * 0.5;
      };
      const Predictor plain = [&](const Tensor& y, const Level& at) {
        shown.push_back(at);
        return y * 0.5;
      };
      const GuidanceScale two = [](const Level&) { return 2.0; };
      // The interval is that level alone.
      const GuidanceScale here = interval_scale(two, level.ratio(), level.ratio());
      const GuidanceScale ramp = ramped_scale(path, 3, 2);
      CHECK(here(level) == 2);
      CHECK(ramp(level) == (end == path.t_noise() ? 3 : 2));
      for (const GuidanceScale& scale : {two, here, ramp}) {
        make_denoiser(classifier_free(model, labels, nothing, scale), Prediction::v)(x, level);
        make_denoiser(autoguided(plain, plain, scale), Prediction::v)(x, level);
        const NoisyClassifier classifier = [&](const Variable& y, const Level& at) {
          shown.push_back(at);
          return y;
        };
        classifier_guided(make_denoiser(plain, Prediction::v), classifier, labels, scale)(x, level);
      }
      if (level.alpha == 1) edm_denoiser(plain)(x, level);
      CHECK(shown.size() >= 9);
      for (const Level& at : shown) {
        CHECK(at.t == level.t);
        CHECK(at.ratio() == level.ratio());
      }
    }
  }
}

TEST_CASE("a path's ends rounded to float32 are its ends; what is beyond is an error") {
  for (const auto& [name, path] : all_paths()) {
    CAPTURE_BINDING(name);
    const Tensor x = normals({2, 3}, 1, DType::float32);
    const std::vector<float> ends{static_cast<float>(path.t_data()),
                                  static_cast<float>(path.t_noise())};
    const std::vector<Level> levels = levels_of("test", path, x, Tensor::from(ends));
    CHECK(levels[0].ratio() == path.at(path.t_data()).ratio());
    CHECK(levels[1].ratio() == path.at(path.t_noise()).ratio());
    add_noise(path, x, x, Tensor::from(ends));
    prediction_target(Prediction::v, path, x, x, Tensor::from(ends));
    const float beyond = static_cast<float>(path.t_noise()) + 0.01f;
    CHECK_THROWS_AS(add_noise(path, x, x, Tensor::full({2}, beyond)), Error);
    // Uniforms next to 1 stay on the path.
    const Tensor u = Tensor::from(std::vector<double>{0, std::nextafter(1.0, 0.0)});
    CHECK(levels_of("test", path, x, uniform_times(path, u)).size() == 2);
  }
}

TEST_CASE("guidance in an interval runs through every sampler, inversion and painting") {
  for (const auto& [name, path] : all_paths()) {
    CAPTURE_BINDING(name);
    const ConditionalPredictor model = [](const Tensor& y, const Level&, const Conditioning&) {
      return y * 0.1;
    };
    const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1});
    const Tensor nothing = Tensor::full({2}, 2, DType::int64);
    const GuidanceScale scale = interval_scale([](const Level&) { return 2.0; }, 0.1, 3);
    const Denoiser denoiser =
        make_denoiser(classifier_free(model, labels, nothing, scale), Prediction::v);
    for (const SamplerInfo& info : samplers()) {
      CAPTURE(info.name);
      const TimeGrid grid = make_grid(path, 5, info.spacing);
      const Tensor x = start_noise(grid[0], {2, 3}, 1);
      CHECK(all_finite(run_sampler(info.name, {denoiser, path, grid, philox_noise(1), {}}, x)));
    }
    const TimeGrid grid = make_grid(path, 5);
    const Tensor x = start_noise(grid[0], {2, 3}, 1);
    CHECK(all_finite(ddim_inversion({denoiser, path, inverted(grid), {}, {}}, x)));
    if (grid[0].alpha > 0)
      CHECK(all_finite(
          repaint({denoiser, path, grid, philox_noise(1), {}}, x, x, Tensor::ones({1, 3}))));
  }
}

TEST_CASE("a flow's network is told sigma, shifted or not") {
  for (const double shift : {0.5, 1.0, 3.0}) {
    const Path path = Path::flow(shift, 1000);
    const TimeGrid grid = make_grid(path, 4);
    for (std::size_t i = 0; i < 4; ++i) {
      const double u = 1 - static_cast<double>(i) / 4, sigma = shift * u / (1 + (shift - 1) * u);
      CHECK(grid[i].sigma == doctest::Approx(sigma).epsilon(1e-12));
      CHECK(grid[i].t == doctest::Approx(1000 * sigma).epsilon(1e-12));
    }
    const Tensor t = uniform_times(path, Tensor::from(std::vector<double>{0.5}));
    CHECK(t.item() == doctest::Approx(1000 * shift / (1 + shift)).epsilon(1e-12));
  }
  // diffusers' calculate_shift: mu 0.5 at 256 tokens, 1.15 at 4096.
  CHECK(dynamic_shift(256) == doctest::Approx(std::exp(0.5)).epsilon(1e-14));
  CHECK(dynamic_shift(4096) == doctest::Approx(std::exp(1.15)).epsilon(1e-14));
  CHECK(dynamic_shift(1024) == doctest::Approx(std::exp(0.63)).epsilon(1e-14));
  CHECK_THROWS_AS(dynamic_shift(0), Error);
}

}  // namespace
}  // namespace ebb::test
