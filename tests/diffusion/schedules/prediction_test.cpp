#include <doctest/doctest.h>
#include <ebb/diffusion/guidance/denoiser.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/random/random.h>

#include <cmath>

#include "tests/golden.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

TEST_CASE("the forward process noises every image to its own time") {
  const Golden golden("tutorial.safetensors");
  TorchGenerator generator(42);
  const Path path = Path::discrete(alphas_cumprod(linear_betas(200)));
  std::vector<float> square(3 * 64 * 64, 0);
  for (int c = 0; c < 3; ++c)
    for (int i = 16; i < 48; ++i)
      for (int j = 16; j < 48; ++j) square[static_cast<std::size_t>((c * 64 + i) * 64 + j)] = 1;
  const Tensor image = Tensor::from(square, {1, 3, 64, 64});
  std::vector<Tensor> noises;
  const std::vector<double> times{0, 50, 100, 199};
  for (std::size_t i = 0; i < times.size(); ++i) noises.push_back(generator.randn({1, 3, 64, 64}));
  const Tensor noised = add_noise(path, cat(std::vector<Tensor>(4, image), 0), cat(noises, 0),
                                  Tensor::from(std::vector<std::int64_t>{0, 50, 100, 199}));
  for (std::int64_t i = 0; i < 4; ++i)
    check_close("forward", slice(noised, 0, i, i + 1),
                golden[fmt::format("forward/t{}", times[static_cast<std::size_t>(i)])], 1e-5);

  const Tensor x = normals({2, 3}, 1);
  CHECK_THROWS_WITH_AS(add_noise(path, x, x, Tensor::from(std::vector<std::int64_t>{5, 200})),
                       doctest::Contains("outside [0, 199]"), Error);
  CHECK_THROWS_AS(add_noise(path, x, x, Tensor::from(std::vector<double>{5, -2})), Error);
  CHECK_THROWS_AS(add_noise(path, x, x, Tensor::from(std::vector<double>{5})), Error);
  CHECK_THROWS_AS(add_noise(path, x, normals({2, 4}, 1), Tensor::from(std::vector<double>{5, 5})),
                  Error);
}

TEST_CASE("every prediction type is read from every other") {
  const std::vector<Prediction> types{Prediction::epsilon, Prediction::x0, Prediction::v,
                                      Prediction::flow};
  const Tensor x0 = normals({3, 5}, 1), eps = normals({3, 5}, 2);
  for (const Level level : {Level{7, 0.8, 0.6}, Level{7, 1, 3.5}, Level{7, 0.3, 0.7}}) {
    const Tensor x = x0 * level.alpha + eps * level.sigma;
    for (const Prediction from : types) {
      const Tensor output = output_of(from, {x0, eps}, level);
      const X0Eps ends = x0_eps_of(from, x, output, level);
      CHECK(relative_error(ends.x0, x0) < 1e-14);
      CHECK(relative_error(ends.eps, eps) < 1e-14);
      for (const Prediction to : types)
        CHECK(relative_error(convert(from, to, x, output, level), output_of(to, {x0, eps}, level)) <
              1e-14);
      // The training target of images with times of their own is the same.
      const Path path = Path::continuous(
          Scaling::flow, [](double t) { return t; }, [](double s) { return s; }, 0, 10);
      const Tensor t = Tensor::from(std::vector<double>{1, 2, 3});
      const Tensor target = prediction_target(from, path, x0, eps, t);
      for (std::int64_t n = 0; n < 3; ++n)
        CHECK(relative_error(slice(target, 0, n, n + 1),
                             output_of(from, {slice(x0, 0, n, n + 1), slice(eps, 0, n, n + 1)},
                                       path.at(static_cast<double>(n + 1)))) < 1e-14);
    }
  }
  // v and flow in their own words.
  const Level level{0, 0.8, 0.6};
  CHECK(relative_error(output_of(Prediction::v, {x0, eps}, level), eps * 0.8 - x0 * 0.6) < 1e-15);
  CHECK(relative_error(output_of(Prediction::flow, {x0, eps}, level), eps - x0) < 1e-15);
  // Pure noise: v and flow still know x_0, epsilon does not.
  const Level noise{0, 0, 1};
  CHECK(relative_error(x0_eps_of(Prediction::v, eps, neg(x0), noise).x0, x0) < 1e-15);
  CHECK(relative_error(x0_eps_of(Prediction::flow, eps, eps - x0, noise).x0, x0) < 1e-14);
  CHECK_THROWS_WITH_AS(x0_eps_of(Prediction::epsilon, eps, eps, noise),
                       doctest::Contains("zero terminal SNR"), Error);
  CHECK_THROWS_AS(x0_eps_of(Prediction::x0, x0, x0, {0, 1, 0}), Error);
  CHECK_THROWS_AS(x0_eps_of(Prediction::v, x0, normals({3, 4}, 1), level), Error);
  CHECK_THROWS_AS(parse_prediction("noise"), Error);
  CHECK(parse_prediction("flow") == Prediction::flow);
}

TEST_CASE("x_0 is clipped, and epsilon follows if told to") {
  const Tensor x = Tensor::from(std::vector<double>{-3, -0.5, 0.25, 2}, {1, 4});
  CHECK(clip_x0(x, {}).to_vector<double>() == x.to_vector<double>());
  CHECK(clip_x0(x, {.kind = Clip::Kind::range}).to_vector<double>() ==
        std::vector<double>{-1, -0.5, 0.25, 1});
  // |x| sorted: 0.25, 0.5, 2, 3; the median is 1.25.
  const Clip dynamic{.kind = Clip::Kind::dynamic, .percentile = 0.5, .maximum = 10};
  const std::vector<double> scaled = clip_x0(x, dynamic).to_vector<double>();
  const std::vector<double> expected{-1, -0.4, 0.2, 1};
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(scaled[i] == doctest::Approx(expected[i]).epsilon(1e-14));
  // Never below 1, never above the maximum, and each image for itself.
  const Tensor two = cat(std::vector{x, x * 0.1}, 0);
  CHECK(slice(clip_x0(two, dynamic), 0, 1, 2).to_vector<double>() == (x * 0.1).to_vector<double>());
  CHECK(clip_x0(x, {.kind = Clip::Kind::dynamic, .percentile = 1, .maximum = 2})
            .to_vector<double>() == std::vector<double>{-1, -0.25, 0.125, 1});
  CHECK_THROWS_AS(clip_x0(x, {.kind = Clip::Kind::range, .range = 0}), Error);
  CHECK_THROWS_AS(clip_x0(x, {.kind = Clip::Kind::dynamic, .percentile = 1.5}), Error);

  const Predictor model = [](const Tensor& y, const Level&) { return y * 0.1; };
  const Level level{3, 0.6, 0.8};
  Clip clip{.kind = Clip::Kind::range};
  const Estimate kept = make_denoiser(model, Prediction::epsilon, {clip, false})(x, level);
  CHECK(relative_error(kept.x0 * 0.6 + kept.eps * 0.8, x) < 1e-14);
  clip.rederive_epsilon = false;
  const Estimate raw = make_denoiser(model, Prediction::epsilon, {clip, false})(x, level);
  CHECK(relative_error(raw.eps, x * 0.1) == 0);
  CHECK(relative_error(raw.x0, kept.x0) == 0);
}

TEST_CASE("EDM's preconditioning") {
  const Path path = Path::edm();
  const Tensor x0 = normals({2, 6}, 1), eps = normals({2, 6}, 2);
  const Tensor t = Tensor::from(std::vector<double>{path.at_ratio(0.3).t, path.at_ratio(5).t});
  const Tensor target = edm_target(path, x0, eps, t, 0.5);
  for (std::int64_t n = 0; n < 2; ++n) {
    const Level level = path.at_ratio(n == 0 ? 0.3 : 5);
    const Tensor clean = slice(x0, 0, n, n + 1), x = clean + slice(eps, 0, n, n + 1) * level.sigma;
    const double total = std::sqrt(level.sigma * level.sigma + 0.25);
    // A network that says the target is shown x / total and gives x_0 back.
    const Predictor network = [&](const Tensor& shown, const Level& told) {
      CHECK(relative_error(shown * total, x) < 1e-14);
      CHECK(told.t == doctest::Approx(std::log(level.sigma) / 4));
      return slice(target, 0, n, n + 1);
    };
    const Estimate e = edm_denoiser(network, 0.5)(x, level);
    CHECK(relative_error(e.x0, clean) < 1e-13);
    CHECK(relative_error(e.eps, slice(eps, 0, n, n + 1)) < 1e-12);
    // A consistency model is the identity at its least noise, whatever the network says.
    CHECK(relative_error(consistency_denoiser(network, 0.5, level.sigma)(x, level).x0, x) < 1e-14);
    CHECK_THROWS_AS(edm_denoiser(network)(x, {0, 0.8, 0.6}), Error);
  }
}

}  // namespace
}  // namespace ebb::test
