#include <ebb/nn/optim/ema.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>

namespace ebb {

Ema::Ema(std::vector<NamedParameter> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {
  check(options.decay >= 0 && options.decay < 1, "Ema: decay {}; it must be in [0, 1)",
        options.decay);
  for (const NamedParameter& p : parameters_) averages_.push_back(p.variable.value().clone());
}

double Ema::decay() const {
  if (!options_.warm_up) return options_.decay;
  if (updates_ == 0) return 0;
  const double n = static_cast<double>(updates_);
  return std::min(options_.decay, (1 + n) / (10 + n));
}

void Ema::update() {
  check(!exchanged_, "Ema: an update while the average is in use; end its scope first");
  const double rest = 1 - decay();
  ++updates_;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    add_(averages_[i], sub(parameters_[i].variable.value(), averages_[i]), rest);
}

std::vector<NamedTensor> Ema::weights() const {
  std::vector<NamedTensor> result;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    result.push_back({parameters_[i].name, averaged(i).clone()});
  return result;
}

const Tensor& Ema::averaged(std::size_t i) const {
  return exchanged_ ? parameters_[i].variable.value() : averages_[i];
}

void Ema::exchange() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Tensor value = parameters_[i].variable.value();
    const Tensor before = value.clone();
    value.copy_(averages_[i]);
    averages_[i].copy_(before);
  }
  exchanged_ = !exchanged_;
}

std::vector<NamedTensor> Ema::state() const {
  std::vector<NamedTensor> result;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    result.push_back({parameters_[i].name + ".average", averaged(i)});
  result.push_back({"updates", Tensor::from(std::vector<std::int64_t>{updates_}, {})});
  return result;
}

void Ema::load_state(const std::vector<NamedTensor>& state) {
  check(!exchanged_, "Ema: loading while the average is in use; end its scope first");
  const Tensor updates = Tensor::zeros({}, DType::int64);
  std::vector<NamedTensor> into{{"updates", updates}};
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    into.push_back({parameters_[i].name + ".average", averages_[i]});
  load_tensors(into, state);
  updates_ = updates.to_vector<std::int64_t>()[0];
}

}  // namespace ebb
