// Trainer: an optimizer, a learning-rate schedule, clipping and an average of the weights around
// any loss. It knows no files, no clocks and no terminals; the caller brings the batches and says
// how far the training is.
//
// A step is a function of the weights, the state, the batch and the configuration alone: every
// random number has the address (seed, purpose, step, sample). So training that was stopped,
// saved by state() and resumed by load_state() ends in the same bits.
#pragma once

#include <ebb/nn/conditioning.h>
#include <ebb/nn/optim/ema.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/random/random.h>

#include <functional>
#include <optional>

namespace ebb {

struct Batch {
  Tensor images;              // (N, H, W, C) float32 in [-1, 1]
  Conditioning conditioning;  // what is known of them; may be empty

  // With f(tensor) in the place of each tensor.
  template <class F>
  Batch each(F f) const {
    return {f(images), conditioning.each(f)};
  }
  Batch to(Device device) const;
};

// Where the random numbers of some samples of a step are: rows first_sample, ... of the
// batch_size that the step has.
struct StepDraws {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  std::int64_t first_sample = 0;
  std::int64_t batch_size = 1;

  PhiloxAddress address(Purpose purpose) const {
    return {seed, purpose, static_cast<std::uint64_t>(step),
            static_cast<std::uint64_t>(first_sample)};
  }
};

// The mean loss of `batch`, a scalar.
using LossFunction = std::function<Variable(const Batch& batch, const StepDraws& draws)>;

// Half of the images (N, H, W, C), drawn by Purpose::augmentation, mirrored left to right.
Tensor flip_half(const Tensor& images, const StepDraws& draws);

struct TrainingConfig {
  double learning_rate = 2e-3;
  std::int64_t warmup_steps = 200;
  bool cosine = true;             // else constant after the warm-up
  double last_learning_rate = 0;  // at the end of the cosine, as a share of learning_rate
  double beta1 = 0.9, beta2 = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.01;
  double clip_norm = 1;           // 0: no clipping
  double ema_decay = 0.999;       // with warm-up; 0: the average is the weights themselves
  std::int64_t accumulation = 1;  // a batch is cut into so many parts, one after another
  std::uint64_t seed = 0;
};

// learning_rate min(1, (step + 1) / warmup_steps) times the cosine from 1 at `progress` 0 to
// last_learning_rate at 1.
double learning_rate_at(const TrainingConfig& config, std::int64_t step, double progress);

struct StepReport {
  double loss = 0;
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
};

// A step whose loss, gradient or new weights are not finite.
struct NotFinite : Error {
  NotFinite(std::string message, bool good) : Error(std::move(message)), weights_are_good(good) {}
  bool weights_are_good;  // the step was not taken
};

class Trainer {
 public:
  // `parameters`, of all `groups`, are trained in place by AdamW.
  Trainer(const std::vector<ParameterGroup>& groups, LossFunction loss,
          const TrainingConfig& config);
  Trainer(std::vector<NamedParameter> parameters, LossFunction loss, const TrainingConfig& config)
      : Trainer(one_group(std::move(parameters)), std::move(loss), config) {}

  // Called between backward and the step: gradients can be changed there, before their norm is
  // taken, as those of several processes are summed (GradientBuckets).
  using GradientHook = std::function<void(const std::vector<NamedParameter>& parameters)>;
  void on_gradients(GradientHook hook) { on_gradients_ = std::move(hook); }

  // One step of the optimizer. `progress` in [0, 1] is the share of the budget, steps or minutes,
  // that is used up. A loss, gradient or new weight that is not finite is a NotFinite.
  StepReport step(const Batch& batch, double progress);
  // Counts a step that is not taken: its data and noise are passed over.
  void skip() { ++steps_; }
  void set_learning_rate(double rate) { config_.learning_rate = rate; }
  std::int64_t steps() const { return steps_; }  // taken or skipped so far
  const TrainingConfig& config() const { return config_; }

  // The trained weights, a copy; their average is ema().weights(), and UseEma(ema()) puts it into
  // the network for a scope.
  std::vector<NamedTensor> raw_weights() const;
  Ema& ema() { return ema_; }

  // Everything that a resumed run needs: "raw.*", "ema.*", "optimizer.*", "step". They
  // share memory with the trainer: copy what is to outlive the next step.
  std::vector<NamedTensor> state() const;
  void load_state(const std::vector<NamedTensor>& state);

 private:
  TrainingConfig config_;
  LossFunction loss_;
  GradientHook on_gradients_;
  AdamW optimizer_;
  Ema ema_;
  std::int64_t steps_ = 0;
};

// The images of each step: the k-th sample of the training, k = step batch + i, is entry k mod n
// of the (k / n)-th permutation of the data set. A function of the seed and the step.
class DataOrder {
 public:
  // `size` images, batches of `batch`, both at least 1.
  DataOrder(std::int64_t size, std::int64_t batch, std::uint64_t seed);
  std::vector<std::int64_t> indices(std::int64_t step);

 private:
  std::int64_t size_, batch_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;  // of permutation_
  std::vector<std::int64_t> permutation_;
};

}  // namespace ebb
