// Teachers whose steps are known in closed form.
#include <doctest/doctest.h>
#include <ebb/diffusion/losses/distillation.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/timesteps.h>
#include <ebb/diffusion/schedules/training_times.h>

#include <algorithm>
#include <cmath>

#include "tests/capture.h"

namespace ebb::test {
namespace {

using Method = DistillationConfig::Method;

// Says x_0 = f(x, level, class); class 2 is the null class.
class KnownModel final : public Model {
 public:
  using X0 = std::function<double(double x, const Level& level, std::int64_t label)>;
  KnownModel(const Path& path, Prediction prediction, X0 x0)
      : path_(path), prediction_(prediction), x0_(std::move(x0)) {}

  Variable operator()(const Variable& x, const Tensor& t,
                      const Conditioning& given) const override {
    const std::vector<double> times = t.to_vector<double>();
    const auto labels = labels_or_null(given, x.size(0), Device::cpu).to_vector<std::int64_t>();
    std::vector<Tensor> rows;
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const Level level = path_.at(times[i]);
      const Tensor row = slice(x.value(), 0, i, i + 1);
      std::vector<float> x0, eps;
      for (const double value : row.to_vector<double>()) {
        x0.push_back(static_cast<float>(x0_(value, level, labels[i])));
        eps.push_back(static_cast<float>((value - level.alpha * x0.back()) / level.sigma));
      }
      const auto shaped = [&](const std::vector<float>& v) {
        return Tensor::from(v).reshape(row.shape().vector());
      };
      rows.push_back(output_of(prediction_, {shaped(x0), shaped(eps)}, level));
    }
    return cat(rows, 0);
  }
  void visit(Visitor&) override {}
  std::int64_t num_classes() const override { return 2; }

 private:
  Path path_;
  Prediction prediction_;
  X0 x0_;
};

Batch some_batch() {
  return {philox_normal({6, 2, 2, 1}, {3, Purpose::other}),
          Tensor::from<std::int64_t>({0, 1, 0, 1, 0, 1})};
}

double loss_of(const Model& student, const Model& teacher, const Path& path, Prediction prediction,
               const DistillationConfig& config) {
  return distillation_objective(student, teacher, path, prediction, config)(
             some_batch(), {.seed = 1, .step = 2, .batch_size = 6})
      .value()
      .item();
}

Path cosine_path() { return Path::discrete(alphas_cumprod(cosine_betas(100))); }

}  // namespace

TEST_CASE("distillation: of data that is one point, the teacher is the best student") {
  const Path path = cosine_path();
  const auto point = [](double at) {
    return [at](double, const Level&, std::int64_t) { return at; };
  };
  for (const Prediction prediction :
       {Prediction::epsilon, Prediction::x0, Prediction::v, Prediction::flow})
    for (const Method method : {Method::progressive, Method::consistency}) {
      CAPTURE_BINDING(prediction);
      CAPTURE_BINDING(method);
      const KnownModel teacher(path, prediction, point(0.4)), other(path, prediction, point(0.6));
      // x_0 from epsilon at much noise is a difference of large numbers.
      const double rounding = prediction == Prediction::epsilon ? 2e-3 : 1e-8;
      const DistillationConfig config{.method = method, .steps = 4};
      CHECK(std::abs(loss_of(teacher, teacher, path, prediction, config)) < rounding);
      CHECK(loss_of(other, teacher, path, prediction, config) > 10 * rounding);
    }
}

TEST_CASE("distillation: progressive, two steps of a Gaussian's teacher as one") {
  // Of N(0, 1) data x_0 = alpha x, and a DDIM step from angle a to b is cos(a - b).
  const Path path = cosine_path();
  constexpr std::int64_t steps = 5;
  const TimeGrid grid = make_grid(path, 2 * steps);
  KnownModel teacher(path, Prediction::v,
                     [](double x, const Level& l, std::int64_t) { return l.alpha * x; });
  teacher.sample.clip = {Clip::Kind::none};
  const auto angle = [](const Level& l) { return std::atan2(l.sigma, l.alpha); };
  const KnownModel student(path, Prediction::v, [&](double x, const Level& l, std::int64_t) {
    std::size_t i = 0;
    while (std::abs(grid[i].t - l.t) > 1e-6) ++i;
    REQUIRE(i % 2 == 0);
    const double y = x * std::cos(angle(grid[i]) - angle(grid[i + 1])) *
                     std::cos(angle(grid[i + 1]) - angle(grid[i + 2]));
    const double share = grid[i + 2].sigma / l.sigma;
    return (y - share * x) / (grid[i + 2].alpha - share * l.alpha);
  });
  const DistillationConfig config{.method = Method::progressive, .steps = steps};
  CHECK(loss_of(student, teacher, path, Prediction::v, config) < 1e-9);
  CHECK(loss_of(teacher, teacher, path, Prediction::v, config) > 1e-4);
}

TEST_CASE("distillation: a guided teacher's student draws as it does, without guidance") {
  const Path path = cosine_path();
  const KnownModel teacher(path, Prediction::v, [](double, const Level&, std::int64_t label) {
    return label == 2 ? 0.0 : label == 0 ? 0.2 : -0.3;
  });
  const KnownModel student(path, Prediction::v, [](double, const Level&, std::int64_t label) {
    return 2.5 * (label == 0 ? 0.2 : -0.3);
  });
  for (const Method method : {Method::progressive, Method::consistency}) {
    const DistillationConfig guided{.method = method, .steps = 4, .guidance = 2.5};
    CHECK(std::abs(loss_of(student, teacher, path, Prediction::v, guided)) < 1e-8);
    const DistillationConfig plain{.method = method, .steps = 4};
    CHECK(loss_of(student, teacher, path, Prediction::v, plain) > 1e-3);
  }
  CHECK_THROWS_AS(loss_of(student, teacher, path, Prediction::v, {.steps = 0}), Error);
  CHECK_THROWS_AS(loss_of(student, teacher, path, Prediction::v, {.guidance = NAN}), Error);
}

TEST_CASE("consistency training: where its levels lie") {
  const TimeGrid grid = make_grid(cosine_path(), 5, Spacing::karras);
  const std::vector<double> p = interval_probabilities(grid, -1, 2);
  REQUIRE(p.size() == 5);
  // P(a < z <= b) of a normal z, by 10,000 trapezoids; down to no noise from the last level.
  const auto z = [](const Level& l) { return (std::log(l.sigma / l.alpha) + 1) / 2; };
  std::vector<double> mass;
  double total = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const double high = z(grid[i]), low = i == 4 ? -12 : z(grid[i + 1]);
    double sum = 0;
    for (int k = 0; k < 10'000; ++k)
      sum += std::exp(-0.5 * std::pow(low + (high - low) * (k + 0.5) / 10'000, 2));
    total += mass.emplace_back(sum * (high - low));
  }
  for (std::size_t i = 0; i < 5; ++i) CHECK(p[i] == doctest::Approx(mass[i] / total).epsilon(1e-5));
}

TEST_CASE("consistency training: a grid that grows, weights and distance") {
  const Path path = cosine_path();
  const auto loss = [&](const Model& student, const DistillationConfig& config, std::int64_t step,
                        const Batch& batch = some_batch()) {
    return consistency_objective(student, path, Prediction::v, config)(
               batch, {.seed = 1, .step = step, .batch_size = 6})
        .value()
        .item();
  };
  // What is asked are levels of the grid that the step has.
  std::size_t levels = 0;
  const KnownModel watching(path, Prediction::v, [&](double, const Level& l, std::int64_t) {
    const TimeGrid grid = make_grid(path, static_cast<std::int64_t>(levels), Spacing::karras);
    CHECK(std::any_of(grid.begin(), grid.end(),
                      [&](const Level& g) { return std::abs(g.t - l.t) < 1e-4; }));
    return 0.5;
  });
  const DistillationConfig growing{.steps = 20, .first_steps = 3, .doubling = 10};
  for (const auto& [step, size] :
       {std::pair{0, 3}, {9, 3}, {10, 6}, {25, 12}, {30, 20}, {99, 20}}) {
    levels = static_cast<std::size_t>(size);
    const Batch same{Tensor::full({6, 2, 2, 1}, 0.5), some_batch().conditioning};
    CHECK(std::abs(loss(watching, growing, step, same)) < 1e-8);  // it says the same of all
  }
  // x_0 = alpha x: the two differ by a known tensor.
  const KnownModel gaussian(path, Prediction::v,
                            [](double x, const Level& l, std::int64_t) { return l.alpha * x; });
  const DistillationConfig fixed{.steps = 2};
  const TimeGrid grid = make_grid(path, 2, Spacing::karras);
  const std::vector<double> p = interval_probabilities(grid);
  const StepDraws draws{.seed = 1, .step = 7, .batch_size = 6};
  const Tensor x0 = some_batch().images,
               eps = philox_normal(x0.shape(), draws.address(Purpose::noise));
  const auto u =
      stratified(philox_uniform({6}, draws.address(Purpose::timestep), DType::float64), 0, 6)
          .to_vector<double>();
  double expected = 0;
  for (std::int64_t i = 0; i < 6; ++i) {
    const std::size_t k = u[static_cast<std::size_t>(i)] < p[0] ? 0 : 1;
    const Level &from = grid[k], &to = grid[k + 1];
    double squares = 0;
    for (std::int64_t j = 0; j < 4; ++j) {
      const double x = x0.to_vector<float>()[4 * i + j], e = eps.to_vector<float>()[4 * i + j];
      const auto said = [&](const Level& l) {  // clean data is what it is
        return l.sigma == 0 ? x : l.alpha * (l.alpha * x + l.sigma * e);
      };
      squares += std::pow(said(from) - said(to), 2);
    }
    const double c = 0.00054 * 2;
    const double apart = from.sigma / from.alpha - to.sigma / to.alpha;
    expected += (std::sqrt(squares + c * c) - c) / apart / 6;
  }
  CHECK(loss(gaussian, fixed, 7) == doctest::Approx(expected).epsilon(1e-4));
  CHECK_THROWS_WITH(loss(gaussian, {.steps = 1}, 0),
                    doctest::Contains("consistency training: 1 steps"));
}

}  // namespace ebb::test
