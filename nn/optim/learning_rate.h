// Learning-rate schedules: factors on the base rate at `step` (0 for the first). They multiply:
//
//   optimizer.set_learning_rate(base * linear_warmup(step, 200) * cosine_annealing(step, 5000));
#pragma once

#include <cstdint>

namespace ebb {

// (step + 1) / steps up to 1: the first step already moves. 1 where `steps` is 0.
double linear_warmup(std::int64_t step, std::int64_t steps);
// From 1 at step 0 straight to `last` at step `steps`, and `last` from there on.
double linear_decay(std::int64_t step, std::int64_t steps, double last = 0);
// last + (1 - last) (1 + cos(pi step / steps)) / 2: from 1 down to `last` at step `steps`, and up
// again beyond (Loshchilov & Hutter 2017, eq. 5; torch's CosineAnnealingLR, T_max = steps).
double cosine_annealing(std::int64_t step, std::int64_t steps, double last = 0);

struct WarmupCosine {
  std::int64_t warmup = 0, total = 1;  // steps
  double last = 0;                     // the factor at `total` and after
};
// The linear warm-up, then the cosine from its end to `total`.
double warmup_cosine(std::int64_t step, const WarmupCosine& options);

}  // namespace ebb
