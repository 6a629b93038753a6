#include <ebb/diffusion/losses/loss.h>

#include <algorithm>

namespace ebb {
namespace {

// Squared errors at a fixed x: |d eps|^2 = |d output|^2 alpha^2 * this. alpha dx_0 + sigma deps =
// 0.
double epsilon_share(Prediction prediction, const Level& l) {
  switch (prediction) {
    case Prediction::epsilon:
      return 1 / (l.alpha * l.alpha);
    case Prediction::x0:
      return 1 / (l.sigma * l.sigma);
    case Prediction::v: {
      const double total = l.alpha * l.alpha + l.sigma * l.sigma;
      return 1 / (total * total);
    }
    case Prediction::flow:
      return 1 / ((l.alpha + l.sigma) * (l.alpha + l.sigma));
  }
  fail("loss: no such prediction type");
}

// The weight on epsilon times alpha^2, which zero SNR leaves finite.
double scaled_weight(const LossWeight& weight, const Level& l) {
  const double a = l.alpha * l.alpha, s = l.sigma * l.sigma;
  if (weight.kind == LossWeight::Kind::min_snr) return std::min(a, weight.gamma * s);
  if (weight.kind == LossWeight::Kind::p2) return a * std::pow(weight.k + l.snr(), -weight.gamma);
  return (s + a * weight.sigma_data * weight.sigma_data) / (weight.sigma_data * weight.sigma_data);
}

}  // namespace

Variable weighted_mse(const Variable& output, const Tensor& target, const Tensor& weights) {
  check(output.shape() == target.shape(), "loss: output {} but target {}", output.shape(),
        target.shape());
  if (!weights.defined()) return mse_loss(output, target);
  return mean(square(output - Variable(target)) *
              Variable(per_sample(weights.to_vector<double>(), target)));
}

double loss_weight(const LossWeight& weight, Prediction prediction, const Level& level) {
  using Kind = LossWeight::Kind;
  check(weight.gamma > 0 && weight.k >= 0 && weight.sigma_data > 0,
        "loss weight: gamma {}, k {}, sigma_data {}; gamma and sigma_data must be positive, k at "
        "least 0",
        weight.gamma, weight.k, weight.sigma_data);
  if (weight.kind == Kind::simple) return 1;
  double value = scaled_weight(weight, level) * epsilon_share(prediction, level);
  // Where the output is the quantity the weight is stated on, its limit at either end is known.
  if (weight.kind == Kind::min_snr && prediction == Prediction::epsilon)
    value = std::min(1.0, weight.gamma / level.snr());
  if (weight.kind == Kind::min_snr && prediction == Prediction::x0)
    value = std::min(level.snr(), weight.gamma);
  if (weight.kind == Kind::p2 && prediction == Prediction::epsilon)
    value = std::pow(weight.k + level.snr(), -weight.gamma);
  check(std::isfinite(value),
        "loss weight: {} at t = {} (alpha {}, sigma {}) for {}; choose another "
        "weighting or prediction",
        value, level.t, level.alpha, level.sigma, name_of(prediction));
  return value;
}

Tensor loss_weights(const LossWeight& weight, Prediction prediction,
                    const std::vector<Level>& levels) {
  std::vector<double> values;
  for (const Level& level : levels) values.push_back(loss_weight(weight, prediction, level));
  return Tensor::from(values);
}

Tensor loss_weights(const LossWeight& weight, Prediction prediction, const Path& path,
                    const Tensor& t) {
  return loss_weights(weight, prediction, levels_of("loss_weights", path, t, t));
}

}  // namespace ebb
