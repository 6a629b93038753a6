// A student that draws in a few steps what its teacher draws in many.
//
//   progressive   one DDIM step of the student does what two of the teacher do (Salimans & Ho 2022,
//                 alg. 2); done again and again, the steps are halved each time
//   consistency   the student says of two neighbours on a path of the teacher's the same x_0 (Song
//   et
//                 al. 2023, alg. 2), so that one step is enough; compared by the pseudo-Huber
//                 distance of Song & Dhariwal 2024 (section 3.3), against the student itself
//                 (section 3.2)
#pragma once

#include <ebb/diffusion/losses/objective.h>

namespace ebb {

struct DistillationConfig {
  enum class Method : std::uint8_t { progressive, consistency };
  Method method = Method::progressive;
  // progressive: steps of the student's grid, of which the teacher takes two each. consistency:
  // steps of the teacher's. Grids have the usual spacing, trailing.
  std::int64_t steps = 8;
  // Classifier-free guidance of the teacher, which the student learns with it and is then drawn
  // without (Meng et al. 2023).
  double guidance = 1;
};

// Both predict what `prediction` says and outlive the result. What the batch says of its images is
// told to both; nothing is dropped.
LossFunction distillation_objective(const Model& student, const Model& teacher, const Path& path,
                                    Prediction prediction, const DistillationConfig& config);

}  // namespace ebb
