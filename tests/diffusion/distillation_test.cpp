// Teachers whose steps are known in closed form.
#include <doctest/doctest.h>
#include <ebb/diffusion/losses/distillation.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/timesteps.h>

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

}  // namespace ebb::test
