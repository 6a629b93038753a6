#include <ebb/nn/optim/learning_rate.h>
#include <ebb/tensor/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {

namespace {

double ratio(std::string_view schedule, std::int64_t step, std::int64_t steps) {
  check(step >= 0 && steps > 0, "{}: step {} of {}; steps count from 0 and there must be some",
        schedule, step, steps);
  return static_cast<double>(step) / static_cast<double>(steps);
}

}  // namespace

double linear_warmup(std::int64_t step, std::int64_t steps) {
  return steps <= 0 ? 1.0 : std::min(1.0, ratio("linear_warmup", step + 1, steps));
}

double linear_decay(std::int64_t step, std::int64_t steps, double last) {
  return 1 + (last - 1) * std::min(1.0, ratio("linear_decay", step, steps));
}

double cosine_annealing(std::int64_t step, std::int64_t steps, double last) {
  const double angle = std::numbers::pi * ratio("cosine_annealing", step, steps);
  return last + (1 - last) * (1 + std::cos(angle)) / 2;
}

double warmup_cosine(std::int64_t step, const WarmupCosine& o) {
  check(o.warmup >= 0 && o.warmup < o.total,
        "warmup_cosine: a warm-up of {} in {} steps; it must be shorter", o.warmup, o.total);
  if (step < o.warmup) return linear_warmup(step, o.warmup);
  return cosine_annealing(std::min(step, o.total) - o.warmup, o.total - o.warmup, o.last);
}

}  // namespace ebb
