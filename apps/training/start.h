// A run from what its user asks for: networks, schedule and batch are settled, checked against the
// data and each other, and trained.
#pragma once

#include <ebb/apps/training/setup.h>

#include <optional>
#include <string>
#include <vector>

namespace ebb::apps {

constexpr std::int64_t default_steps = 5000;

struct TrainOptions {
  RunConfig config;
  // Empty or 0: the recipe's.
  std::string schedule, prediction, shift, times;
  std::int64_t batch = 0;
  std::string preset = "small", loss_weight = "simple", condition = "auto";
  std::vector<std::int64_t> widths;  // none: the preset's
  std::string out, latent, teacher, method;
  std::int64_t student_steps = 0;  // 0: the method's usual
  double teacher_guidance = 1;
  TrainingSources sources;
  std::int64_t latent_channels = 4;
  bool resume = false;
  std::optional<double> learning_rate;
  TrainingPlan plan;
};

// Trains the run at options.out, a new one or, with options.resume, that which is there. What does
// not fit together is a UsageError before anything is made.
void train(TrainOptions& options);

}  // namespace ebb::apps
