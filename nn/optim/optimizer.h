// Optimizers, each PyTorch's rule to rounding: parameters that have no gradient are passed over
// and keep their state. One pass over all parameters a step (tensor/ops/optimizer_steps.h), in
// which gradients are clipped by a scale:
//
//   AdamW optimizer(named_parameters(model), {.learning_rate = 2e-3});
//   Ema ema(named_parameters(model), {.decay = 0.999});
//   loss.backward();
//   const double norm = grad_norm(optimizer.parameters());
//   optimizer.step({.grad_scale = clip_scale(norm, 1.0)});
//   optimizer.zero_grad();
//   ema.update();
#pragma once

#include <ebb/nn/module.h>

#include <optional>

namespace ebb {

struct StepOptions {
  double grad_scale = 1;  // on all gradients
};

// A part of the parameters with settings of its own, as PyTorch's param_groups.
struct ParameterGroup {
  std::vector<NamedParameter> parameters;
  double rate_scale = 1;                    // on the optimizer's learning rate
  std::optional<double> weight_decay = {};  // else the optimizer's
};
// All parameters as one group.
std::vector<ParameterGroup> one_group(std::vector<NamedParameter> parameters);

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  void step(const StepOptions& options = {});
  void zero_grad();

  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double learning_rate) { learning_rate_ = learning_rate; }
  // Those of all groups, in order.
  const std::vector<NamedParameter>& parameters() const { return parameters_; }

  // Everything that a resumed run needs but the learning rate: "NAME.exp_avg" and the like for
  // each parameter, and "steps", how many each has taken, int64 (parameters). They share memory
  // with the optimizer, as PyTorch's do: copy what is to outlive the next step.
  std::vector<NamedTensor> state() const;
  // Missing, unexpected or misshapen ones are an Error that names them, before anything changes.
  void load_state(const std::vector<NamedTensor>& state);

 protected:
  // Names must differ, no two parameters be the same; `kinds` names the tensors that are kept
  // for each, all zero at first.
  Optimizer(const std::vector<ParameterGroup>& groups, double learning_rate, double weight_decay,
            const std::vector<std::string>& kinds);

  // Of one group and step.
  struct Update {
    double learning_rate, weight_decay, grad_scale;
  };
  // Changes the parameters numbered `active`, of one group, which have gradients.
  virtual void update(const std::vector<std::size_t>& active, const Update& with) = 0;

  // The tensor of the `kind`-th kind for the parameter number `i`; steps taken, this one included.
  const Tensor& kept(std::size_t kind, std::size_t i) const { return kept_[kind][i]; }
  std::int64_t steps_of(std::size_t i) const { return steps_[i]; }

 private:
  // Parameters [begin, end).
  struct Group {
    std::size_t begin, end;
    double rate_scale, weight_decay;
  };
  std::vector<NamedParameter> parameters_;
  std::vector<Group> groups_;
  double learning_rate_;
  std::vector<std::string> kinds_;
  std::vector<std::vector<Tensor>> kept_;
  std::vector<std::int64_t> steps_;
};

// g = grad + weight_decay p; v = momentum v + (1 - dampening) g, at first v = g;
// p -= lr (nesterov ? g + momentum v : v). torch.optim.SGD; Sutskever et al. 2013.
class Sgd final : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;  // needs momentum and no dampening
  };
  Sgd(const std::vector<ParameterGroup>& groups, const Options& options);
  Sgd(std::vector<NamedParameter> parameters, const Options& options)
      : Sgd(one_group(std::move(parameters)), options) {}

 private:
  void update(const std::vector<std::size_t>& active, const Update& with) override;
  Options options_;
};

// g = grad + weight_decay p; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// p -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps). Kingma & Ba 2015, algorithm 1;
// torch.optim.Adam.
class Adam : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
    bool amsgrad = false;  // divide by the largest v so far (Reddi et al. 2018)
  };
  Adam(const std::vector<ParameterGroup>& groups, const Options& options)
      : Adam(groups, options, false) {}
  Adam(std::vector<NamedParameter> parameters, const Options& options)
      : Adam(one_group(std::move(parameters)), options, false) {}

 protected:
  Adam(const std::vector<ParameterGroup>& groups, const Options& options, bool decoupled);

 private:
  void update(const std::vector<std::size_t>& active, const Update& with) override;
  Options options_;
  bool decoupled_;
};

// Adam whose weight decay is p *= 1 - lr weight_decay instead (Loshchilov & Hutter 2019).
// torch.optim.AdamW.
class AdamW final : public Adam {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 1e-2;
    bool amsgrad = false;
  };
  AdamW(const std::vector<ParameterGroup>& groups, const Options& options);
  AdamW(std::vector<NamedParameter> parameters, const Options& options)
      : AdamW(one_group(std::move(parameters)), options) {}
};

// The 2-norm of all gradients as one vector; its bits do not depend on the threads. Parameters
// without a gradient count as zero.
double grad_norm(const std::vector<NamedParameter>& parameters);
// What gradients of that norm are multiplied by so that it is at most `largest`:
// min(1, largest / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; NaN if `norm` is one.
double clip_scale(double norm, double largest);
// The two in place; the norm before. step's grad_scale does the same without a pass of its own.
double clip_grad_norm(const std::vector<NamedParameter>& parameters, double largest);

}  // namespace ebb
