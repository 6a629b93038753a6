#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/random/random.h>

#include <cmath>
#include <limits>

#include "tests/golden.h"

namespace ebb::test {
namespace {

Tensor random(const Shape& shape, std::uint64_t seed) {
  return philox_normal(shape, {seed, Purpose::other, 0, 0}, DType::float64);
}
Level told(double t) { return {.t = t, .alpha = 0.8, .sigma = 0.6}; }
Tensor labels(const std::vector<std::int64_t>& values) { return Tensor::from(values); }

// x plus the label, seen by how many images and labels it is called with.
struct Spy {
  std::vector<std::int64_t> batches;
  std::vector<std::vector<std::int64_t>> labels;
  ConditionalPredictor model() {
    return [this](const Tensor& x, const Level&, const Conditioning& given) {
      batches.push_back(x.size(0));
      labels.push_back(given.labels.to_vector<std::int64_t>());
      return x * x + per_sample(given.labels.to_vector<double>(), x);
    };
  }
};

TEST_CASE("the tutorial's guidance") {
  const Golden golden("tutorial.safetensors");
  check_close("guided", guide(golden["cfg/uncond"], golden["cfg/cond"], 7.5),
              golden["cfg/guided_7.5"], 1e-5);
}

TEST_CASE("classifier-free guidance runs both halves as one batch") {
  Spy spy;
  const Tensor x = random({2, 3, 3, 1}, 1);
  const Predictor guided = classifier_free(spy.model(), labels({3, 7}), labels({10, 10}), 2.5);
  const Tensor y = guided(x, told(5));
  CHECK(spy.batches == std::vector<std::int64_t>{4});
  CHECK(spy.labels[0] == std::vector<std::int64_t>{10, 10, 3, 7});
  const Tensor negative = x * x + 10;
  const Tensor positive = x * x + per_sample({3, 7}, x);
  CHECK(relative_error(y, negative + (positive - negative) * 2.5) < 1e-14);

  // Scale 1 is the conditional model bit for bit, and costs one half.
  const Tensor alone =
      classifier_free(spy.model(), labels({3, 7}), labels({10, 10}), 1.0)(x, told(5));
  CHECK(spy.batches.back() == 2);
  CHECK(alone.to_vector<double>() == positive.to_vector<double>());
  CHECK(guide(negative, positive, 1).to_vector<double>() == positive.to_vector<double>());
  CHECK(relative_error(guide(negative, positive, 0), negative) < 1e-15);

  // Classes to move away from.
  classifier_free(spy.model(), labels({3, 7}), labels({1, 2}), 2.0)(x, told(5));
  CHECK(spy.labels.back() == std::vector<std::int64_t>{1, 2, 3, 7});
}

TEST_CASE("a learned variance is not guided") {
  const ConditionalPredictor model = [](const Tensor& x, const Level&, const Conditioning& given) {
    return cat(std::vector<Tensor>{x, x * 0.5}, -1) +
           per_sample(given.labels.to_vector<double>(), x);
  };
  const Tensor x = random({1, 2, 2, 3}, 1);
  CfgOptions options;
  options.channels = 3;
  const Tensor y = classifier_free(model, labels({4}), labels({10}), 3.0, options)(x, told(0));
  CHECK(relative_error(slice(y, -1, 0, 3), x + 10.0 + (4.0 - 10.0) * 3) < 1e-14);
  CHECK(relative_error(slice(y, -1, 3, 6), x * 0.5 + 4.0) < 1e-14);
}

TEST_CASE("guidance rescale gives back the standard deviation of each image") {
  const Tensor a = random({2, 4, 4, 1}, 1), b = random({2, 4, 4, 1}, 2) * 2.0;
  const ConditionalPredictor model = [&](const Tensor&, const Level&, const Conditioning&) {
    return cat(std::vector<Tensor>{a, b}, 0);
  };
  const auto run = [&](double rescale) {
    CfgOptions options;
    options.rescale = rescale;
    return classifier_free(model, labels({0, 0}), labels({1, 1}), 4.0, options)(a, told(0));
  };
  const Tensor plain = run(0), full = run(1), part = run(0.7);
  for (std::int64_t n = 0; n < 2; ++n) {
    const auto deviation = [&](const Tensor& x) { return ebb::std(slice(x, 0, n, n + 1)).item(); };
    CHECK(deviation(full) == doctest::Approx(deviation(b)).epsilon(1e-12));
    CHECK(deviation(plain) > 1.2 * deviation(b));
  }
  CHECK(relative_error(part, full * 0.7 + plain * 0.3) < 1e-14);
}

TEST_CASE("scales may follow the time") {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(1000)));
  const GuidanceScale constant = [](const Level&) { return 3.0; };
  const GuidanceScale inside = interval_scale(constant, 0.3, 2);
  for (const double t : {0.0, 100.0, 300.0, 500.0, 900.0}) {
    const double s = path.at(t).ratio();
    CHECK(inside(path.at(t)) == (s >= 0.3 && s <= 2 ? 3 : 1));
  }
  const GuidanceScale line = ramped_scale(path, 8, 2),
                      curve = ramped_scale(path, 8, 2, Ramp::cosine);
  CHECK(line(path.at(999)) == doctest::Approx(8));
  CHECK(line(path.at(0)) == doctest::Approx(2));
  CHECK(line(path.at(499.5)) == doctest::Approx(5));
  CHECK(curve(path.at(499.5)) == doctest::Approx(5));
  CHECK(curve(path.at(249.75)) == doctest::Approx(2 + 6 * (1 - std::sqrt(0.5)) / 2));
  CHECK_THROWS_AS(interval_scale(constant, 2, 1), Error);

  // Outside its interval, guidance costs nothing.
  Spy spy;
  const Predictor guided = classifier_free(spy.model(), labels({3}), labels({10}), inside);
  guided(random({1, 2}, 1), path.at(0));
  guided(random({1, 2}, 1), path.at(300));
  CHECK(spy.batches == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("autoguidance moves away from a weaker model") {
  const Predictor strong = [](const Tensor& x, const Level&) { return x * 2.0; };
  const Predictor weak = [](const Tensor& x, const Level&) { return x; };
  const Tensor x = random({2, 3}, 1);
  const auto scale = [](double w) { return [w](const Level&) { return w; }; };
  CHECK(relative_error(autoguided(strong, weak, scale(3))(x, told(0)), x * 4.0) < 1e-14);
  CHECK(autoguided(strong, weak, scale(1))(x, told(0)).to_vector<double>() ==
        strong(x, told(0)).to_vector<double>());
}

TEST_CASE("classifier guidance follows the gradient of log p(y | x)") {
  // Two classes with logits +-(a . x): d log p(0 | x) / dx = 2 (1 - p) a.
  const Tensor a = random({1, 3}, 5), x = random({2, 3}, 6);
  const NoisyClassifier classifier = [&](const Variable& v, const Level&) {
    const Variable score = sum(v * Variable(a), {1}, true);
    return cat(std::vector<Variable>{score, score * -1.0}, 1);
  };
  const Denoiser plain = [](const Tensor& y, const Level&) {
    return Estimate{y * 0.5, y * 0.25, {}};
  };
  const Level level{3, 0.8, 0.6};
  const Tensor targets = labels({0, 1});
  const NoGrad sampling;
  const Estimate e =
      classifier_guided(plain, classifier, targets, [](const Level&) { return 2.0; })(x, level);
  for (std::int64_t n = 0; n < 2; ++n) {
    const Tensor row = slice(x, 0, n, n + 1);
    const double sign = n == 0 ? 1 : -1, score = sum(row * a).item() * sign;
    const Tensor gradient = a * (2 * sign / (1 + std::exp(2 * score)));
    CHECK(relative_error(slice(e.eps, 0, n, n + 1), row * 0.25 - gradient * (2 * 0.6)) < 1e-13);
    CHECK(relative_error(slice(e.x0, 0, n, n + 1), row * 0.5 + gradient * (2 * 0.36 / 0.8)) <
          1e-13);
  }
  // What a sampler relies on still holds: both ends move along one x.
  CHECK(relative_error(e.x0 * 0.8 + e.eps * 0.6, x * (0.5 * 0.8 + 0.25 * 0.6)) < 1e-13);
  CHECK(classifier_guided(plain, classifier, targets, [](const Level&) { return 0.0; })(x, level)
            .eps.to_vector<double>() == plain(x, level).eps.to_vector<double>());
}

TEST_CASE("label dropout") {
  const Tensor all = labels({3, 1, 4, 1, 5}), none = labels({10, 10, 10, 10, 10});
  const Tensor u = Tensor::from(std::vector<double>{0.05, 0.1, 0.0999, 0.9, 0.0});
  CHECK(drop_conditioning(all, none, u, 0.1).labels.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{10, 1, 10, 1, 10});
  CHECK(drop_conditioning(all, none, u, 0).labels.to_vector<std::int64_t>() ==
        all.to_vector<std::int64_t>());
  CHECK_THROWS_AS(drop_conditioning(all, none, u, 1.1), Error);
  CHECK_THROWS_AS(drop_conditioning(all, none, slice(u, 0, 0, 2), 0.1), Error);
}

TEST_CASE("guidance that is no number is an error") {
  Spy spy;
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH_AS(classifier_free(spy.model(), labels({1}), labels({10}), nan),
                       doctest::Contains("must be a finite number"), Error);
  CHECK_THROWS_AS(classifier_free(spy.model(), labels({1}), labels({10}), infinity), Error);
  CHECK_THROWS_AS(classifier_free(spy.model(), labels({1}), labels({10}),
                                  [=](const Level&) { return nan; })(random({1, 2}, 1), told(0)),
                  Error);
  CfgOptions options;
  options.rescale = 1.5;
  CHECK_THROWS_AS(classifier_free(spy.model(), labels({1}), labels({10}), 2.0, options), Error);
  // Halves that are told different things.
  CHECK_THROWS_WITH_AS(classifier_free(spy.model(), labels({1}), {}, 2.0),
                       "cat: one conditioning has none labels, the other some; give both the same "
                       "kinds",
                       Error);
}

}  // namespace
}  // namespace ebb::test
