#include <doctest/doctest.h>
#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/losses/variational_bound.h>
#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/training_times.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/normals.h"

namespace ebb::test {
namespace {

using Kind = LossWeight::Kind;

Path table() { return Path::discrete(alphas_cumprod(linear_betas(1000))); }

TEST_CASE("weighted mean square") {
  const Tensor a = Tensor::from(std::vector<double>{1, 2, 3, 4}, {2, 2});
  const Tensor b = Tensor::zeros({2, 2}, DType::float64);
  CHECK(weighted_mse(Variable(a), b).item() == 7.5);
  const Tensor weights = Tensor::from(std::vector<double>{2, 0.5});
  CHECK(weighted_mse(Variable(a), b, weights).item() == (2 * 5 + 0.5 * 25) / 4);
  Variable leaf(a, true);
  weighted_mse(leaf, b, weights).backward();
  CHECK(leaf.grad().to_vector<double>() == std::vector<double>{1, 2, 0.75, 1});
  CHECK_THROWS_AS(weighted_mse(Variable(a), Tensor::zeros({2, 3}, DType::float64)), Error);
}

TEST_CASE("a weighting means the same for every prediction type") {
  // A mistake of the model, told in each type's own output, must cost the same.
  const Tensor x0 = normals({1, 5}, 1), eps = normals({1, 5}, 2),
               mistake = normals({1, 5}, 3) * 0.1;
  const std::vector<Prediction> types{Prediction::epsilon, Prediction::x0, Prediction::v,
                                      Prediction::flow};
  for (const Kind kind : {Kind::min_snr, Kind::p2, Kind::edm}) {
    const LossWeight weight{.kind = kind, .gamma = kind == Kind::p2 ? 1.0 : 5.0};
    for (const Level level :
         {Level{0, 0.6, 0.8}, Level{0, 0.95, 0.1}, Level{0, 1, 3}, Level{0, 0.2, 0.8}}) {
      std::vector<double> costs;
      for (const Prediction type : types) {
        const X0Eps wrong{x0 + mistake, eps - mistake * (level.alpha / level.sigma)};
        const Tensor difference = output_of(type, wrong, level) - output_of(type, {x0, eps}, level);
        costs.push_back(loss_weight(weight, type, level) * mean(square(difference)).item());
      }
      for (const double cost : costs) CHECK(cost == doctest::Approx(costs[0]).epsilon(1e-12));
    }
  }
}

TEST_CASE("weights in their papers' words") {
  const Level level{0, 0.6, 0.8};
  const double snr = 0.36 / 0.64;
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::x0, level) == doctest::Approx(snr));
  CHECK(loss_weight({.kind = Kind::min_snr, .gamma = 0.1}, Prediction::x0, level) == 0.1);
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::epsilon, level) == 1);
  CHECK(loss_weight({.kind = Kind::min_snr, .gamma = 0.1}, Prediction::epsilon, level) ==
        doctest::Approx(0.1 / snr));
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::v, level) ==
        doctest::Approx(snr / (snr + 1)));
  CHECK(loss_weight({.kind = Kind::p2, .gamma = 0.5}, Prediction::epsilon, level) ==
        doctest::Approx(1 / std::sqrt(1 + snr)));
  CHECK(loss_weight({.kind = Kind::edm}, Prediction::x0, {0, 1, 2}) ==
        doctest::Approx((4 + 0.25) / (2 * 0.5 * 2 * 0.5)));
  CHECK(loss_weight({}, Prediction::v, level) == 1);
  // Zero SNR: v and epsilon have limits; what has none says so.
  const Level noise{0, 0, 1};
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::v, noise) == 0);
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::flow, noise) == 0);
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::epsilon, noise) == 1);
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::x0, noise) == 0);
  CHECK(loss_weight({.kind = Kind::min_snr}, Prediction::x0, {0, 1, 0}) == 5);
  CHECK(loss_weight({.kind = Kind::p2, .gamma = 1}, Prediction::epsilon, noise) == 1);
  CHECK(loss_weight({.kind = Kind::edm}, Prediction::v, noise) == 4);
  CHECK_THROWS_WITH_AS(loss_weight({.kind = Kind::edm}, Prediction::epsilon, noise),
                       doctest::Contains("for epsilon"), Error);
  CHECK_THROWS_AS(loss_weight({.kind = Kind::min_snr, .gamma = 0}, Prediction::v, level), Error);
  const Tensor weights = loss_weights({.kind = Kind::min_snr}, Prediction::x0, table(),
                                      Tensor::from(std::vector<double>{0, 500}));
  CHECK(weights.to_vector<double>()[0] == 5);
  CHECK(weights.to_vector<double>()[1] == doctest::Approx(table().at(500).snr()));
}

// KL(N(m1, v1) || N(m2, v2)) in bits.
double kl_bits(double m1, double v1, double m2, double v2) {
  return 0.5 * (std::log(v2 / v1) + (v1 + (m1 - m2) * (m1 - m2)) / v2 - 1) / std::numbers::ln2;
}

TEST_CASE("terms of the bound are KL divergences") {
  const Path path = table();
  const double x0 = 0.3, eps = -1.1, predicted = -0.8, place = 0.4;
  for (const double t : {1.0, 250.0, 999.0}) {
    const Level from = path.at(t), to = path.at(t - 1);
    const double x = from.alpha * x0 + from.sigma * eps;
    const auto one = [](double v) { return Tensor::full({1, 1}, v, DType::float64); };
    const BoundInputs inputs{one(x0), one(x), Tensor::full({1}, t, DType::float64)};
    const Posterior q = posterior(from, to);
    const double said = (x - from.sigma * predicted) / from.alpha;
    const double large = transition_variance(from, to);
    const double variance = std::exp(0.7 * std::log(large) + 0.3 * std::log(q.variance));
    const double expected =
        kl_bits(q.x * x + q.x0 * x0, q.variance, q.x * x + q.x0 * said, variance);
    CHECK(bound_terms(path, Prediction::epsilon, inputs, Variable(one(predicted)),
                      Variable(one(place)))
              .item() == doctest::Approx(expected).epsilon(1e-9));
    // A perfect prediction with the posterior's own variance costs nothing.
    CHECK(std::abs(bound_terms(path, Prediction::epsilon, inputs, Variable(one(eps)),
                               Variable(one(-1.0)))
                       .item()) < 1e-9);
    CHECK(std::abs(bound_terms(path, Prediction::epsilon, inputs, Variable(one(eps))).item()) <
          1e-9);
  }
  const Level last = path.at(999);
  CHECK(bound_prior(path, Tensor::full({1, 1}, x0, DType::float64)).item() ==
        doctest::Approx(kl_bits(last.alpha * x0, last.sigma * last.sigma, 0, 1)).epsilon(1e-9));
}

TEST_CASE("the last term of the bound is a distribution over 256 values") {
  const Path path = table();
  std::vector<double> values;
  for (int i = 0; i < 256; ++i) values.push_back(-1 + i / 127.5);
  const Tensor x0 = Tensor::from(values, {256, 1});
  for (const double near : {0.117, -0.999, 1.0}) {
    // The same x_t and prediction for all: the probabilities of the 256 values add up to 1.
    const BoundInputs inputs{x0, Tensor::full({256, 1}, path.at(0).alpha * near, DType::float64),
                             Tensor::zeros({256}, DType::float64)};
    const Variable output(Tensor::zeros({256, 1}, DType::float64));
    const std::vector<double> bits =
        bound_terms(path, Prediction::epsilon, inputs, output,
                    Variable(Tensor::full({256, 1}, 0.5, DType::float64)))
            .value()
            .to_vector<double>();
    double total = 0;
    for (const double b : bits) total += std::exp2(-b);
    CHECK(total == doctest::Approx(1).epsilon(1e-8));
    const auto best = std::min_element(bits.begin(), bits.end()) - bits.begin();
    CHECK(std::abs(values[static_cast<std::size_t>(best)] - near) <= 1 / 255.0);
  }
}

TEST_CASE("the hybrid loss trains the variance by the bound and the mean by the simple loss") {
  const Path path = table();
  const Tensor x0 = normals({3, 2, 2, 1}, 1) * 0.4, eps = normals({3, 2, 2, 1}, 2);
  const Tensor t = Tensor::from(std::vector<double>{0, 10, 700});
  const BoundInputs inputs{x0, add_noise(path, x0, eps, t), t};
  Variable output(normals({3, 2, 2, 2}, 3) * 0.5, true);
  const Variable loss = hybrid_loss(path, Prediction::epsilon, inputs, eps, output, 0.5);
  const Tensor mean_part = slice(output.value(), -1, 0, 1);
  const Tensor variance_part = slice(output.value(), -1, 1, 2);
  const double simple = mean(square(mean_part - eps)).item();
  const double bound = mean(bound_terms(path, Prediction::epsilon, inputs, Variable(mean_part),
                                        Variable(variance_part))
                                .value())
                           .item();
  CHECK(loss.item() == doctest::Approx(simple + 0.5 * bound).epsilon(1e-12));
  loss.backward();
  const Tensor gradient = output.grad();
  CHECK(relative_error(slice(gradient, -1, 0, 1), (mean_part - eps) * (2.0 / 12)) < 1e-12);
  // The variance's gradient, by central differences.
  const auto value = [&](std::int64_t i, double step) {
    Tensor moved = output.value().clone();
    moved.mutable_data<double>()[2 * i + 1] += step;
    return hybrid_loss(path, Prediction::epsilon, inputs, eps, Variable(moved), 0.5).item();
  };
  const std::vector<double> slopes = slice(gradient, -1, 1, 2).to_vector<double>();
  for (std::int64_t i = 0; i < 12; ++i)
    CHECK(slopes[static_cast<std::size_t>(i)] ==
          doctest::Approx((value(i, 1e-5) - value(i, -1e-5)) / 2e-5).epsilon(1e-6));
  CHECK_THROWS_AS(hybrid_loss(path, Prediction::epsilon, inputs, eps, Variable(eps)), Error);
  CHECK_THROWS_AS(bound_terms(Path::flow(), Prediction::flow, inputs, Variable(eps)), Error);
}

TEST_CASE("choices of t") {
  const Tensor u = Tensor::from(std::vector<double>{0.5, 0, 0.999});
  const Path path = table();
  CHECK(uniform_times(path, u).to_vector<double>()[0] == doctest::Approx(499.5));
  CHECK(stratified(u, 1, 5).to_vector<double>() == std::vector<double>{0.3, 0.4, 3.999 / 5});
  CHECK_THROWS_AS(stratified(u, 3, 5), Error);
  // z = 0, 1 and -1.959964, below which 2.5% lie.
  const std::vector<double> middle =
      logit_normal(Tensor::from(std::vector<double>{0.5, 0.8413447460685429, 0.025, 0}))
          .to_vector<double>();
  CHECK(middle[0] == doctest::Approx(0.5).epsilon(1e-12));
  CHECK(middle[1] == doctest::Approx(1 / (1 + std::exp(-1.0))).epsilon(1e-12));
  CHECK(middle[2] == doctest::Approx(1 / (1 + std::exp(1.959963984540054))).epsilon(1e-12));
  CHECK(middle[3] > 0);
  CHECK(middle[3] < 1e-3);
  const Path edm = Path::edm();
  const Tensor t = lognormal_times(edm, Tensor::from(std::vector<double>{0, 1, -100}));
  CHECK(edm.at(t.to_vector<double>()[0]).sigma == doctest::Approx(std::exp(-1.2)));
  CHECK(edm.at(t.to_vector<double>()[1]).sigma == doctest::Approx(1));
  CHECK(t.to_vector<double>()[2] == edm.t_data());
}

TEST_CASE("the objective sees the times that it is asked for, as the path's shift has them") {
  class Listener final : public Model {
   public:
    mutable std::vector<double> times;
    Variable operator()(const Variable& x, const Tensor& t, const Conditioning&) const override {
      times = t.to_vector<double>();
      return x;
    }
    void visit(Visitor&) override {}
  } model;
  const auto shifted = [](double u) { return 2 * u / (1 + u); };
  for (const auto& [times, end] : {std::pair{TrainingTimes::uniform, 0.975},
                                   {TrainingTimes::logit_normal, 1 / (1 + std::exp(-1.959964))}}) {
    const ObjectiveConfig config{.prediction = Prediction::flow, .times = times};
    diffusion_objective(model, Path::flow(2), config)({Tensor::zeros({1000, 1, 1, 1}), {}},
                                                      {.batch_size = 1000});
    std::sort(model.times.begin(), model.times.end());
    CHECK(model.times[500] == doctest::Approx(shifted(0.5)).epsilon(0.002));
    CHECK(model.times[975] == doctest::Approx(shifted(end)).epsilon(0.002));
    CHECK(model.times[25] == doctest::Approx(shifted(1 - end)).epsilon(0.02));
  }
}

TEST_CASE("importance sampling by the second moment of the loss") {
  ImportanceSampler sampler(4, 2);
  const auto feed = [&](std::int64_t t, double loss) {
    sampler.update(Tensor::from(std::vector<std::int64_t>{t}),
                   Tensor::from(std::vector<double>{loss}));
  };
  const std::vector<double> uniform(4, 0.25);
  for (std::int64_t t = 0; t < 4; ++t) feed(t, 5);
  feed(0, 3);
  CHECK(sampler.probabilities() == uniform);  // until every step has its history
  for (std::int64_t t = 0; t < 4; ++t) feed(t, 3), feed(t, t == 3 ? 4 : 0);
  // The last two: sqrt((9 + 0) / 2) three times, then sqrt((9 + 16) / 2).
  const std::vector<double> p = sampler.probabilities();
  CHECK(p[0] == doctest::Approx(0.999 * 3.0 / 14 + 0.001 / 4).epsilon(1e-12));
  CHECK(p[3] == doctest::Approx(0.999 * 5.0 / 14 + 0.001 / 4).epsilon(1e-12));
  const double edge = p[0] + p[1] + p[2];
  const ImportanceSampler::Draw draw =
      sampler.draw(Tensor::from(std::vector<double>{0, edge - 1e-9, edge + 1e-9, 0.9999999}));
  CHECK(draw.t.to_vector<double>() == std::vector<double>{0, 2, 3, 3});
  CHECK(draw.weights.to_vector<double>()[3] == doctest::Approx(1 / (4 * p[3])));
  // sum p w L is the uniform mean.
  double total = 0;
  for (std::size_t t = 0; t < 4; ++t) total += p[t] * (1 / (4 * p[t]));
  CHECK(total == doctest::Approx(1));
  CHECK_THROWS_AS(feed(4, 1), Error);
  CHECK_THROWS_AS(feed(0, std::nan("")), Error);
  CHECK_THROWS_AS(ImportanceSampler(0), Error);
}

}  // namespace
}  // namespace ebb::test
