// The loop of `ebb train`: steps, previews, checkpoints, and what becomes of them when something
// goes wrong.
#pragma once

#include <ebb/apps/runs/run_folder.h>

#include <functional>

namespace ebb::apps {

struct TrainingPlan {
  std::int64_t steps = 0;  // 0: no bound
  double minutes = 0;      // 0: no bound
  double keep_every = 0;   // minutes; 0: only the last few checkpoints are kept
  std::int64_t preview_every = 1000, save_every = 1000, log_every = 20, keep = 3;
  Device device = Device::cpu;  // the model's
  enum class OnNan { stop, skip, rollback } on_nan = OnNan::stop;
};

// Where a step's batch and a preview's pictures come from.
struct TrainingTask {
  std::int64_t size = 0;  // samples to learn from
  // The samples of these numbers; called by the loader's thread.
  std::function<Batch(const std::vector<std::int64_t>& indices)> batch;
  // Pictures (N, H, W, C) of the weights as they are now.
  std::function<Tensor()> preview;
};

// Trains until the plan is fulfilled, after `seconds` of earlier sittings.
//
// Whatever ends it after its first step (an Error, no memory, Ctrl-C) saves first, if the weights
// are finite. What is not needed to go on, pictures and metrics, ends nothing: a failure is told
// once. With OnNan::rollback the learning rate of the run is halved at each return.
void train_run(RunFolder& run, const TrainingPlan& plan, const TrainingTask& task, Trainer& trainer,
               double seconds);

}  // namespace ebb::apps
