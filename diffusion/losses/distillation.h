// A student that draws in a few steps what its teacher draws in many.
//
//   progressive   one DDIM step of the student does what two of the teacher do (Salimans & Ho 2022,
//                 alg. 2); done again and again, the steps are halved each time
//   consistency   the student says of two neighbours on a path of the teacher's the same x_0 (Song
//                 et al. 2023, alg. 2), so that one step is enough; compared by the pseudo-Huber
//                 distance of Song & Dhariwal 2024 (section 3.3), against the student itself
//                 (section 3.2)
//   consistency_training   the same without a teacher: the neighbours are an image in the same
//                 noise, twice (Song et al. 2023, alg. 3), on grids that grow (Song & Dhariwal
//                 2024, section 3.4) and at levels drawn as there (section 3.5)
#pragma once

#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/schedules/timesteps.h>

namespace ebb {

struct DistillationConfig {
  enum class Method : std::uint8_t { progressive, consistency, consistency_training };
  Method method = Method::progressive;
  // progressive: steps of the student's grid, of which the teacher takes two each. consistency:
  // steps of the teacher's. Grids have the usual spacing, trailing. consistency_training: the most
  // steps of its grid, whose spacing is karras.
  std::int64_t steps = 8;
  // consistency_training: N(k) = min(first_steps 2^floor(k / doubling), steps) at training step k;
  // doubling 0: `steps` from the start.
  std::int64_t first_steps = 10, doubling = 0;
  // Classifier-free guidance of the teacher, which the student learns with it and is then drawn
  // without (Meng et al. 2023).
  double guidance = 1;
};

// Both predict what `prediction` says and outlive the result. What the batch says of its images is
// told to both; nothing is dropped.
LossFunction distillation_objective(const Model& student, const Model& teacher, const Path& path,
                                    Prediction prediction, const DistillationConfig& config);
// Method::consistency_training.
LossFunction consistency_objective(const Model& student, const Path& path, Prediction prediction,
                                   const DistillationConfig& config);

// P(interval i) of a grid of n + 1 levels, (n): where ln(sigma / alpha) of N(mean, std) falls
// (Song & Dhariwal 2024, table 1).
std::vector<double> interval_probabilities(const TimeGrid& grid, double mean = -1.1,
                                           double std = 2.0);

}  // namespace ebb
