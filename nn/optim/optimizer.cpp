#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/ops/optimizer_steps.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace ebb {

std::vector<ParameterGroup> one_group(std::vector<NamedParameter> parameters) {
  std::vector<ParameterGroup> groups(1);
  groups[0].parameters = std::move(parameters);
  return groups;
}

Optimizer::Optimizer(const std::vector<ParameterGroup>& groups, double learning_rate,
                     double weight_decay, const std::vector<std::string>& kinds)
    : learning_rate_(learning_rate), kinds_(kinds), kept_(kinds.size()) {
  for (const ParameterGroup& group : groups) {
    const std::size_t begin = parameters_.size();
    parameters_.insert(parameters_.end(), group.parameters.begin(), group.parameters.end());
    groups_.push_back(
        {begin, parameters_.size(), group.rate_scale, group.weight_decay.value_or(weight_decay)});
  }
  steps_.resize(parameters_.size());
  std::set<std::string> names;
  for (const auto& [name, p] : parameters_) {
    check(names.insert(name).second, "optimizer: two parameters are named {:?}; rename one", name);
    for (std::vector<Tensor>& tensors : kept_)
      tensors.push_back(Tensor::zeros(p.shape(), p.dtype(), p.device()));
  }
}

void Optimizer::step(const StepOptions& options) {
  for (const Group& group : groups_) {
    std::vector<std::size_t> active;
    for (std::size_t i = group.begin; i < group.end; ++i) {
      if (!parameters_[i].variable.grad().defined()) continue;
      active.push_back(i);
      ++steps_[i];
    }
    update(active, {learning_rate_ * group.rate_scale, group.weight_decay, options.grad_scale});
  }
}

void Optimizer::zero_grad() {
  for (NamedParameter& p : parameters_) p.variable.zero_grad();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> result;
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind)
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      result.push_back({parameters_[i].name + "." + kinds_[kind], kept_[kind][i]});
  result.push_back({"steps", Tensor::from(steps_)});
  return result;
}

void Optimizer::load_state(const std::vector<NamedTensor>& state) {
  Tensor steps = Tensor::from(steps_);
  std::vector<NamedTensor> into{{"steps", steps}};
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind)
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      into.push_back({parameters_[i].name + "." + kinds_[kind], kept_[kind][i]});
  load_tensors(into, state);
  steps_ = steps.to_vector<std::int64_t>();
}

namespace {

std::vector<std::string> sgd_kinds(const Sgd::Options& options) {
  if (options.momentum == 0) return {};
  return {"momentum_buffer"};
}

std::vector<std::string> adam_kinds(const Adam::Options& options) {
  if (options.amsgrad) return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  return {"exp_avg", "exp_avg_sq"};
}

}  // namespace

Sgd::Sgd(const std::vector<ParameterGroup>& groups, const Options& o)
    : Optimizer(groups, o.learning_rate, o.weight_decay, sgd_kinds(o)), options_(o) {
  check(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
        "Sgd: nesterov with momentum {} and dampening {}; it needs momentum and no dampening",
        o.momentum, o.dampening);
}

void Sgd::update(const std::vector<std::size_t>& active, const Update& with) {
  std::vector<SgdSlot> slots;
  slots.reserve(active.size());
  for (const std::size_t i : active) {
    const Variable& p = parameters()[i].variable;
    slots.push_back({.value = p.value(),
                     .grad = p.grad(),
                     .velocity = options_.momentum != 0 ? kept(0, i) : Tensor(),
                     .step = steps_of(i)});
  }
  sgd_step(slots, {.learning_rate = with.learning_rate,
                   .momentum = options_.momentum,
                   .dampening = options_.dampening,
                   .weight_decay = with.weight_decay,
                   .nesterov = options_.nesterov,
                   .grad_scale = with.grad_scale});
}

Adam::Adam(const std::vector<ParameterGroup>& groups, const Options& o, bool decoupled)
    : Optimizer(groups, o.learning_rate, o.weight_decay, adam_kinds(o)),
      options_(o),
      decoupled_(decoupled) {
  check(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1,
        "Adam: betas {} and {}; both must be in [0, 1)", o.beta1, o.beta2);
  check(o.eps >= 0, "Adam: eps {}; it must not be negative", o.eps);
}

AdamW::AdamW(const std::vector<ParameterGroup>& groups, const Options& o)
    : Adam(groups,
           {.learning_rate = o.learning_rate,
            .beta1 = o.beta1,
            .beta2 = o.beta2,
            .eps = o.eps,
            .weight_decay = o.weight_decay,
            .amsgrad = o.amsgrad},
           true) {}

void Adam::update(const std::vector<std::size_t>& active, const Update& with) {
  std::vector<AdamSlot> slots;
  slots.reserve(active.size());
  for (const std::size_t i : active) {
    const Variable& p = parameters()[i].variable;
    slots.push_back({.value = p.value(),
                     .grad = p.grad(),
                     .m = kept(0, i),
                     .v = kept(1, i),
                     .v_max = options_.amsgrad ? kept(2, i) : Tensor(),
                     .step = steps_of(i)});
  }
  adam_step(slots, {.learning_rate = with.learning_rate,
                    .beta1 = options_.beta1,
                    .beta2 = options_.beta2,
                    .eps = options_.eps,
                    .weight_decay = with.weight_decay,
                    .decoupled = decoupled_,
                    .grad_scale = with.grad_scale});
}

double grad_norm(const std::vector<NamedParameter>& parameters) {
  std::vector<Tensor> grads;
  for (const NamedParameter& p : parameters)
    if (p.variable.grad().defined()) grads.push_back(p.variable.grad());
  return grads.empty() ? 0 : std::sqrt(sum_of_squares(grads).item());
}

double clip_scale(double norm, double largest) {
  const double scale = largest / (norm + 1e-6);
  return scale > 1 ? 1 : scale;
}

double clip_grad_norm(const std::vector<NamedParameter>& parameters, double largest) {
  const double norm = grad_norm(parameters), scale = clip_scale(norm, largest);
  for (const NamedParameter& p : parameters) {
    Tensor grad = p.variable.grad();
    if (grad.defined() && scale != 1) mul_(grad, scale);
  }
  return norm;
}

}  // namespace ebb
