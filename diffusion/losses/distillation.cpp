#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/distillation.h>
#include <ebb/diffusion/schedules/timesteps.h>
#include <ebb/diffusion/schedules/training_times.h>

#include <cmath>

namespace ebb {
namespace {

using Levels = std::vector<Level>;

// x_0 = a x + b output; of clean data x itself, whatever a network says of it.
struct Ends {
  std::vector<double> a, b;
};
Ends x0_coefficients(Prediction prediction, const Levels& levels) {
  Ends ends;
  for (const Level& l : levels) {
    const double total = prediction == Prediction::epsilon ? l.alpha
                         : prediction == Prediction::v     ? l.alpha * l.alpha + l.sigma * l.sigma
                                                           : l.alpha + l.sigma;
    const bool says_x0 = prediction == Prediction::x0 && l.sigma > 0;
    ends.a.push_back(says_x0 ? 0 : prediction == Prediction::v ? l.alpha / total : 1 / total);
    ends.b.push_back(says_x0 ? 1 : -l.sigma / total);
  }
  return ends;
}

Tensor times_of(const Path& path, const Levels& levels, Device device) {
  std::vector<float> times;
  for (const Level& level : levels)
    times.push_back(static_cast<float>(std::max(level.t, path.t_data())));
  return Tensor::from(times).to(device);
}

struct Distillation {
  const Model& student;
  const Model* teacher;  // null: none
  Path path;
  Prediction prediction;
  DistillationConfig config;
  TimeGrid grid;

  Tensor guided_output(const Tensor& x, const Levels& levels, const Conditioning& given) const {
    const NoGrad no_grad;
    const std::int64_t count = x.size(0);
    const Tensor t = times_of(path, levels, x.device());
    if (config.guidance == 1 || given.empty()) return (*teacher)(x, t, given).value();
    const ConditionalPredictor model = [&](const Tensor& y, const Level&,
                                           const Conditioning& told) {
      return (*teacher)(y, y.size(0) == count ? t : cat({t, t}, 0), told).value();
    };
    return classifier_free(model, given, teacher->null_conditioning(count, x.device()),
                           config.guidance)(x, levels[0]);
  }

  // A DDIM step of the teacher (Song et al. 2021, eq. 12, eta 0).
  Tensor step(const Tensor& x, const Levels& from, const Levels& to,
              const Conditioning& given) const {
    const Ends ends = x0_coefficients(prediction, from);
    const Tensor x0 =
        clip_x0(mix(ends.a, x, ends.b, guided_output(x, from, given)), teacher->sample.clip);
    std::vector<double> of_x0, of_x;
    for (std::size_t i = 0; i < from.size(); ++i) {
      of_x.push_back(to[i].sigma / from[i].sigma);
      of_x0.push_back(to[i].alpha - of_x[i] * from[i].alpha);
    }
    return mix(of_x0, x0, of_x, x);
  }

  // The x_0 by which one step from `from` to `to` leads from x to y, and what says so.
  Tensor output_that_leads(const Tensor& x, const Tensor& y, const Levels& from,
                           const Levels& to) const {
    std::vector<double> of_y, of_x, to_eps, x0_to_eps;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const double share = to[i].sigma / from[i].sigma;
      of_y.push_back(1 / (to[i].alpha - share * from[i].alpha));
      of_x.push_back(-share * of_y[i]);
      to_eps.push_back(1 / from[i].sigma);
      x0_to_eps.push_back(-from[i].alpha / from[i].sigma);
    }
    const Tensor x0 = mix(of_y, y, of_x, x);
    return prediction_target(prediction, from, x0, mix(to_eps, x, x0_to_eps, x0));
  }

  Variable x0_of_student(const Tensor& x, const Levels& levels, const Conditioning& given) const {
    const Ends ends = x0_coefficients(prediction, levels);
    return Variable(per_sample(ends.a, x)) * Variable(x) +
           Variable(per_sample(ends.b, x)) * student(x, times_of(path, levels, x.device()), given);
  }

  Variable operator()(const Batch& batch, const StepDraws& draws) const {
    const Tensor& x0 = batch.images;
    const std::int64_t count = x0.size(0);
    const bool halves = config.method == DistillationConfig::Method::progressive;
    const std::vector<double> u =
        stratified(philox_uniform({count}, draws.address(Purpose::timestep), DType::float64),
                   draws.first_sample, draws.batch_size)
            .to_vector<double>();
    Levels from, between, to;
    for (const double share : u) {
      const auto i = static_cast<std::size_t>(
          std::min(config.steps - 1, static_cast<std::int64_t>(share * config.steps)));
      from.push_back(grid[halves ? 2 * i : i]);
      if (halves) between.push_back(grid[2 * i + 1]);
      to.push_back(grid[halves ? 2 * i + 2 : i + 1]);
    }
    const Tensor eps =
        philox_normal(x0.shape(), draws.address(Purpose::noise), DType::float32, x0.device());
    const Conditioning given = student.understood(batch.conditioning);
    const Tensor x = add_noise(from, x0, eps);
    if (halves) {
      const Tensor y = step(step(x, from, between, given), between, to, given);
      return weighted_mse(student(x, times_of(path, from, x.device()), given),
                          output_that_leads(x, y, from, to));
    }
    return mean(inconsistency(x, from, step(x, from, to, given), to, given));
  }

  // The pseudo-Huber distance of what the student says of x and y, (N); of y it is the target.
  Variable inconsistency(const Tensor& x, const Levels& from, const Tensor& y, const Levels& to,
                         const Conditioning& given) const {
    Tensor target;
    {
      const NoGrad no_grad;
      target = x0_of_student(y, to, given).value();
    }
    const Variable d = reshape(x0_of_student(x, from, given) - Variable(target), {x.size(0), -1});
    const double c = 0.00054 * std::sqrt(static_cast<double>(d.size(1)));
    return sqrt(sum(square(d), {1}) + c * c) - c;
  }
};

double ratio_of(const Level& level) { return level.sigma / level.alpha; }

// The number of the interval in which a share of the whole lies.
std::size_t interval_at(const std::vector<double>& probabilities, double share) {
  std::size_t i = 0;
  while (i + 1 < probabilities.size() && share >= probabilities[i]) share -= probabilities[i++];
  return i;
}

}  // namespace

LossFunction distillation_objective(const Model& student, const Model& teacher, const Path& path,
                                    Prediction prediction, const DistillationConfig& config) {
  const bool halves = config.method == DistillationConfig::Method::progressive;
  check(config.steps >= 1, "distillation: {} steps; there must be some", config.steps);
  check(std::isfinite(config.guidance), "distillation: guidance is {}; give a finite number",
        config.guidance);
  check(config.guidance == 1 || teacher.has_null_class(),
        "distillation: guidance {} by a teacher without a null class; give 1", config.guidance);
  return Distillation{student,    &teacher, path,
                      prediction, config,   make_grid(path, config.steps * (halves ? 2 : 1))};
}

std::vector<double> interval_probabilities(const TimeGrid& grid, double mean, double std) {
  check(grid.size() >= 2, "consistency training: a grid of {} levels; two or more are needed",
        grid.size());
  const auto below = [&](const Level& level) {
    return 0.5 * (1 + std::erf((std::log(ratio_of(level)) - mean) / (std * std::sqrt(2.0))));
  };
  std::vector<double> result;
  double total = 0;
  for (std::size_t i = 0; i + 1 < grid.size(); ++i) {
    result.push_back(below(grid[i]) - below(grid[i + 1]));
    total += result.back();
  }
  for (double& p : result) p /= total;
  return result;
}

LossFunction consistency_objective(const Model& student, const Path& path, Prediction prediction,
                                   const DistillationConfig& config) {
  check(config.steps >= 2 && config.first_steps >= 2 && config.doubling >= 0,
        "consistency training: {} steps, {} at first, doubled every {}; give 2 or more steps",
        config.steps, config.first_steps, config.doubling);
  const Distillation d{student, nullptr, path, prediction, config, {}};
  return [d](const Batch& batch, const StepDraws& draws) {
    const DistillationConfig& c = d.config;
    std::int64_t steps = c.doubling > 0 ? std::min(c.first_steps, c.steps) : c.steps;
    for (std::int64_t k = c.doubling; c.doubling > 0 && k <= draws.step && steps < c.steps;
         k += c.doubling)
      steps = std::min(2 * steps, c.steps);
    const TimeGrid grid = make_grid(d.path, steps, Spacing::karras);
    const std::vector<double> probabilities = interval_probabilities(grid);
    const std::int64_t count = batch.images.size(0);
    const std::vector<double> u =
        stratified(philox_uniform({count}, draws.address(Purpose::timestep), DType::float64),
                   draws.first_sample, draws.batch_size)
            .to_vector<double>();
    Levels from, to;
    std::vector<double> weights;  // Song & Dhariwal 2024, table 1
    for (const double share : u) {
      const std::size_t i = interval_at(probabilities, share);
      from.push_back(grid[i]);
      to.push_back(grid[i + 1]);
      weights.push_back(1 / (ratio_of(grid[i]) - ratio_of(grid[i + 1])));
    }
    const Tensor eps = philox_normal(batch.images.shape(), draws.address(Purpose::noise),
                                     DType::float32, batch.images.device());
    const Conditioning given = d.student.understood(batch.conditioning);
    const Variable apart = d.inconsistency(add_noise(from, batch.images, eps), from,
                                           add_noise(to, batch.images, eps), to, given);
    return mean(Variable(per_sample(weights, apart.value())) * apart);
  };
}

}  // namespace ebb
