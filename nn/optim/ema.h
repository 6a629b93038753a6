// Exponential moving average of weights (Polyak & Juditsky 1992), which samples better than the
// weights themselves:
//
//   average = decay average + (1 - decay) weights.
//
// With warm-up the decay of update n (0 for the first) is min(decay, (1 + n) / (10 + n)), and the
// first update copies the weights, as in diffusers' EMAModel: the random start is forgotten early.
#pragma once

#include <ebb/nn/module.h>

namespace ebb {

class Ema {
 public:
  struct Options {
    double decay = 0.999;
    bool warm_up = true;
  };
  // The average begins as a copy of the parameters.
  Ema(std::vector<NamedParameter> parameters, const Options& options);

  // After each step of the optimizer. A pass of its own: in the optimizer's it would save at most
  // half a percent of a training step.
  void update();
  std::int64_t updates() const { return updates_; }
  // That the next update will use.
  double decay() const;

  // Copies under the parameters' own names, as a file of weights has them: say in its metadata
  // that it holds an average.
  std::vector<NamedTensor> weights() const;
  // Exchanges weights and average; a second call undoes the first. Updates in between are an
  // Error. (See UseEma.)
  void exchange();

  // "NAME.average" for each parameter and "updates": no names that raw weights have. They share
  // memory with the average: copy what is to outlive the next update.
  std::vector<NamedTensor> state() const;
  void load_state(const std::vector<NamedTensor>& state);

 private:
  // Average number `i`, wherever exchange() has put it.
  const Tensor& averaged(std::size_t i) const;

  std::vector<NamedParameter> parameters_;
  std::vector<Tensor> averages_;
  Options options_;
  std::int64_t updates_ = 0;
  bool exchanged_ = false;
};

// The averaged weights in the parameters for a scope.
class UseEma {
 public:
  explicit UseEma(Ema& ema) : ema_(ema) { ema_.exchange(); }
  ~UseEma() { ema_.exchange(); }
  UseEma(const UseEma&) = delete;
  UseEma& operator=(const UseEma&) = delete;

 private:
  Ema& ema_;
};

}  // namespace ebb
