// Trainer: an optimizer, a learning-rate schedule, clipping and an average of the weights around
// any loss. It knows no files, no clocks and no terminals; the caller brings the batches and says
// how far the training is.
//
// A step is a function of the weights, the state, the batch and the configuration alone: every
// random number has the address (seed, purpose, step, sample). So training that was stopped,
// saved by state() and resumed by load_state() ends in the same bits.
#pragma once

#include <ebb/diffusion/model.h>
#include <ebb/tensor/random.h>

#include <functional>
#include <memory>

namespace ebb {

struct Batch {
  Tensor images;  // (N, H, W, C) float32 in [-1, 1]
  Tensor labels;  // (N) int64, or undefined
};

struct TrainingConfig {
  double learning_rate = 2e-3;
  std::int64_t warmup_steps = 200;   // linear from 0
  double final_learning_rate = 0;    // as a fraction, at the end of the cosine
  bool cosine = true;                // else constant after the warm-up
  double beta1 = 0.9, beta2 = 0.99;  // AdamW (Loshchilov & Hutter 2019)
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip_norm = 1;           // 0: no clipping
  double ema_decay = 0.999;       // 0: no average
  std::int64_t accumulation = 1;  // batches are cut into so many parts, one after another
  std::uint64_t seed = 0;
};

// The mean loss of a batch. Random numbers come from `address` with the purpose replaced;
// its first_sample is the number within the step of the batch's first image.
using LossFunction = std::function<Variable(const Batch& batch, const PhiloxAddress& address)>;

struct StepReport {
  double loss = 0;
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
};

class Trainer {
 public:
  // `parameters` are trained in place. Names must be unique.
  Trainer(std::vector<NamedParameter> parameters, LossFunction loss, const TrainingConfig& config);
  ~Trainer();

  // One step of the optimizer. `progress` in [0, 1] is the part of the budget (steps or minutes)
  // that is used up; the learning rate follows it:
  //   lr = learning_rate * min(1, (step + 1) / warmup_steps) * cosine(progress).
  // A loss or gradient that is not finite is an Error, before any weight changes.
  StepReport step(const Batch& batch, double progress);

  std::int64_t steps() const;  // taken so far

  // The weights that were trained and their exponential moving average; the tensors are copies.
  std::vector<NamedTensor> raw_weights() const;
  std::vector<NamedTensor> ema_weights() const;

  // Everything that a resumed run needs: "raw.*", "ema.*", "optimizer.*", "step".
  std::vector<NamedTensor> state() const;
  void load_state(const std::vector<NamedTensor>& state);

  // Puts the averaged weights into the parameters for its lifetime (previews).
  class UseEma {
   public:
    explicit UseEma(Trainer& trainer);
    ~UseEma();
    UseEma(const UseEma&) = delete;
    UseEma& operator=(const UseEma&) = delete;

   private:
    Trainer& trainer_;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// min(1, (step + 1) / warmup) times the cosine from 1 at progress 0 to `final` at 1.
double learning_rate_at(const TrainingConfig& config, std::int64_t step, double progress);

// The images of each step: sample k = step * batch + i is entry k mod n of the (k / n)-th
// permutation of the data set, so the order is a function of the seed and the step.
class DataOrder {
 public:
  DataOrder(std::int64_t size, std::int64_t batch, std::uint64_t seed);
  std::vector<std::int64_t> indices(std::int64_t step);

 private:
  std::int64_t size_, batch_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;  // of permutation_
  std::vector<std::int64_t> permutation_;
};

}  // namespace ebb
