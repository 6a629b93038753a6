#include <ebb/autograd/ops.h>
#include <ebb/nn/optim/learning_rate.h>
#include <ebb/nn/training/trainer.h>
#include <ebb/tensor/ops/optimizer_steps.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {

namespace {

void append(std::vector<NamedTensor>& to, const std::string& prefix,
            const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& t : tensors) to.push_back({prefix + t.name, t.tensor});
}

// Those whose names begin with `prefix`, without it.
std::vector<NamedTensor> under(const std::string& prefix, const std::vector<NamedTensor>& all) {
  std::vector<NamedTensor> result;
  for (const NamedTensor& t : all)
    if (t.name.starts_with(prefix)) result.push_back({t.name.substr(prefix.size()), t.tensor});
  return result;
}

Batch part_of(const Batch& batch, std::int64_t first, std::int64_t last) {
  if (first == 0 && last == batch.images.size(0)) return batch;
  return {slice(batch.images, 0, first, last), batch.conditioning.rows(first, last)};
}

}  // namespace

Batch Batch::to(Device device) const {
  return each([&](const Tensor& tensor) { return tensor.to(device); });
}

Tensor flip_half(const Tensor& images, const StepDraws& draws) {
  const Tensor u = philox_uniform({images.size(0), 1, 1, 1}, draws.address(Purpose::augmentation),
                                  DType::float32, images.device());
  return where(less(u, 0.5), flip(images, {2}), images);
}

double learning_rate_at(const TrainingConfig& config, std::int64_t step, double progress) {
  double rate = config.learning_rate * linear_warmup(step, config.warmup_steps);
  if (config.cosine) {
    const double last = config.last_learning_rate;
    const double p = std::clamp(progress, 0.0, 1.0);
    rate *= last + (1 - last) * (1 + std::cos(std::numbers::pi * p)) / 2;
  }
  return rate;
}

Trainer::Trainer(const std::vector<ParameterGroup>& groups, LossFunction loss,
                 const TrainingConfig& config)
    : config_(config),
      loss_(std::move(loss)),
      optimizer_(groups, {.learning_rate = config.learning_rate,
                          .beta1 = config.beta1,
                          .beta2 = config.beta2,
                          .eps = config.eps,
                          .weight_decay = config.weight_decay}),
      ema_(optimizer_.parameters(), {.decay = config.ema_decay}) {
  check(config.accumulation >= 1, "Trainer: accumulation is {}; it must be at least 1",
        config.accumulation);
  check(config.clip_norm >= 0, "Trainer: clip_norm is {}; it must not be negative",
        config.clip_norm);
}

StepReport Trainer::step(const Batch& batch, double progress) {
  const std::int64_t size = batch.images.size(0);
  check(config_.accumulation <= size,
        "Trainer: a batch of {} cannot be cut into {} parts; lower accumulation", size,
        config_.accumulation);
  StepReport report;
  Tensor total;  // of the parts' losses
  report.learning_rate = learning_rate_at(config_, steps_, progress);
  optimizer_.zero_grad();
  for (std::int64_t part = 0; part < config_.accumulation; ++part) {
    const std::int64_t first = size * part / config_.accumulation;
    const std::int64_t last = size * (part + 1) / config_.accumulation;
    Variable loss = loss_(part_of(batch, first, last), {config_.seed, steps_, first, size});
    if (config_.accumulation > 1)
      loss = mul(loss, static_cast<double>(last - first) / static_cast<double>(size));
    const Tensor value = loss.value().to(DType::float64);
    total = total.defined() ? total + value : value;
    loss.backward();
  }
  if (on_gradients_) on_gradients_(optimizer_.parameters());
  std::vector<Tensor> gradients, weights;
  for (const NamedParameter& p : optimizer_.parameters()) {
    weights.push_back(p.variable.value());
    if (p.variable.grad().defined()) gradients.push_back(p.variable.grad());
  }
  // One copy from the device for both.
  const std::vector<double> told =
      stack({total, gradients.empty() ? Tensor::scalar(0, DType::float64, total.device())
                                      : sum_of_squares(gradients)},
            0)
          .to_vector<double>();
  report.loss = told[0];
  report.grad_norm = std::sqrt(told[1]);
  if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm))
    throw NotFinite(fmt::format("training: loss {} and gradient norm {} at step {} are not finite; "
                                "lower the learning rate",
                                report.loss, report.grad_norm, steps_),
                    /*good=*/true);
  optimizer_.set_learning_rate(report.learning_rate);
  optimizer_.step({.grad_scale = config_.clip_norm > 0
                                     ? clip_scale(report.grad_norm, config_.clip_norm)
                                     : 1.0});
  optimizer_.zero_grad();
  ema_.update();
  ++steps_;
  if (!std::isfinite(sum_of_squares(weights).item()))
    throw NotFinite(fmt::format("training: step {} made weights that are not finite; lower the "
                                "learning rate",
                                steps_),
                    /*good=*/false);
  return report;
}

std::vector<NamedTensor> Trainer::raw_weights() const {
  std::vector<NamedTensor> weights;
  for (const NamedParameter& p : optimizer_.parameters())
    weights.push_back({p.name, p.variable.value().clone()});
  return weights;
}

std::vector<NamedTensor> Trainer::state() const {
  std::vector<NamedTensor> all{{"step", Tensor::scalar(static_cast<double>(steps_), DType::int64)}};
  for (const NamedParameter& p : optimizer_.parameters())
    all.push_back({"raw." + p.name, p.variable.value()});
  append(all, "ema.", ema_.state());
  append(all, "optimizer.", optimizer_.state());
  return all;
}

void Trainer::load_state(const std::vector<NamedTensor>& state) {
  const auto step = std::find_if(state.begin(), state.end(),
                                 [](const NamedTensor& t) { return t.name == "step"; });
  check(step != state.end() && step->tensor.numel() == 1 && step->tensor.item() >= 0,
        "Trainer: this state has no 'step'; is it a file of weights alone?");
  std::vector<NamedTensor> weights;
  for (const NamedParameter& p : optimizer_.parameters())
    weights.push_back({p.name, p.variable.value()});
  load_tensors(weights, under("raw.", state));
  ema_.load_state(under("ema.", state));
  optimizer_.load_state(under("optimizer.", state));
  steps_ = static_cast<std::int64_t>(step->tensor.item());
}

DataOrder::DataOrder(std::int64_t size, std::int64_t batch, std::uint64_t seed)
    : size_(size), batch_(batch), seed_(seed) {
  check(size >= 1 && batch >= 1, "DataOrder: {} images in batches of {}; both must be at least 1",
        size, batch);
}

std::vector<std::int64_t> DataOrder::indices(std::int64_t step) {
  std::vector<std::int64_t> result;
  for (std::int64_t k = step * batch_; k < (step + 1) * batch_; ++k) {
    if (k / size_ != epoch_) {
      epoch_ = k / size_;
      permutation_ = philox_permutation(
                         size_, {seed_, Purpose::data_order, static_cast<std::uint64_t>(epoch_), 0})
                         .to_vector<std::int64_t>();
    }
    result.push_back(permutation_[static_cast<std::size_t>(k % size_)]);
  }
  return result;
}

}  // namespace ebb
