#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/losses/variational_bound.h>
#include <ebb/diffusion/samplers/sampler.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {
namespace {

// Numbers of each sample, ready to broadcast on an image.
struct PerSample {
  std::vector<double> by_x, by_output;  // x_0 predicted = by_x x + by_output output
  std::vector<double> x0;               // coefficient of x_0 in the posterior's mean
  std::vector<double> low, high;        // log variances
  std::vector<double> first;            // 1 at t = 0
};

// x0 = a x + b output, from the definitions of prediction.h.
std::pair<double, double> x0_coefficients(Prediction prediction, const Level& l) {
  const Tensor one = Tensor::ones({1}, DType::float64), zero = Tensor::zeros({1}, DType::float64);
  return {x0_eps_of(prediction, one, zero, l).x0.item(),
          x0_eps_of(prediction, zero, one, l).x0.item()};
}

PerSample coefficients(const Path& path, Prediction prediction, const Tensor& t) {
  check(path.steps() >= 2, "bound: needs a table of at least 2 steps, not a path of {}",
        path.steps());
  PerSample c;
  for (const double time : t.to_vector<double>()) {
    check(time == std::floor(time), "bound: t = {}; the steps of a table are integers", time);
    const Level from = path.at(time), to = path.at(time - 1);
    const auto [by_x, by_output] = x0_coefficients(prediction, from);
    c.by_x.push_back(by_x);
    c.by_output.push_back(by_output);
    c.x0.push_back(posterior(from, to).x0);
    // The posterior into clean data has no variance: the next step's stands in for it.
    const double small =
        time > 0 ? posterior(from, to).variance : posterior(path.at(1), path.at(0)).variance;
    c.low.push_back(std::log(small));
    c.high.push_back(std::log(transition_variance(from, to)));
    c.first.push_back(time == 0);
  }
  return c;
}

// log(max(x, 1e-12)).
Variable safe_log(const Variable& x) { return log(clamp(x, 1e-12, 2)); }

Variable normal_cdf(const Variable& x) { return (erf(x * std::numbers::sqrt2 / 2.0) + 1.0) * 0.5; }

// -log of the mass that N(mean, e^log_variance) has on the bin of x, one of 256 in [-1, 1]; the
// outermost two reach to infinity.
Variable bin_nll(const Tensor& x, const Variable& mean, const Variable& log_variance) {
  const Variable scale = exp(log_variance * -0.5), away = Variable(x) - mean;
  const Variable above = normal_cdf((away + 1.0 / 255) * scale);
  const Variable below = normal_cdf((away - 1.0 / 255) * scale);
  const auto limit = [&](double value) {
    return Tensor::full(x.shape(), value, x.dtype()).to(x.device());
  };
  const Variable inner =
      where(less(limit(0.999), x), safe_log(below * -1.0 + 1.0), safe_log(above - below));
  return where(less(x, limit(-0.999)), safe_log(above), inner) * -1.0;
}

// Mean over all but the batch, in bits.
Variable bits(const Variable& nats) {
  Dims dims;
  for (std::int64_t d = 1; d < nats.rank(); ++d) dims.push_back(d);
  return mean(nats, dims) * (1 / std::numbers::ln2);
}

}  // namespace

Variable bound_terms(const Path& path, Prediction prediction, const BoundInputs& inputs,
                     const Variable& output, const Variable& variance) {
  const Tensor &x0 = inputs.x0, &x = inputs.x_t;
  check(x0.shape() == x.shape() && output.shape() == x.shape(),
        "bound: x_0 {}, x_t {} and output {} must have one shape", x0.shape(), x.shape(),
        output.shape());
  const PerSample c = coefficients(path, prediction, inputs.t);
  const auto each = [&](const std::vector<double>& values) {
    return Variable(broadcast_to(per_sample(values, x), x.shape()));
  };
  const Variable low = each(c.low), high = each(c.high);
  const Variable log_variance =
      variance.defined() ? (variance * (high - low) + high + low) * 0.5 : low;
  const Variable predicted = each(c.by_x) * Variable(x) + each(c.by_output) * output;
  const Variable between = each(c.x0) * (Variable(x0) - predicted);
  const Variable kl = (log_variance - low + exp(low - log_variance) +
                       square(between) * exp(log_variance * -1.0) - 1.0) *
                      0.5;
  const Tensor first = per_sample(c.first, x);
  return bits(where(broadcast_to(first, x.shape()), bin_nll(x0, predicted, log_variance), kl));
}

Tensor bound_prior(const Path& path, const Tensor& x0) {
  const Level last = path.at(path.t_noise());
  const double variance = last.sigma * last.sigma;
  const Variable kl =
      (square(Variable(x0)) * (last.alpha * last.alpha) + (variance - 1 - std::log(variance))) *
      0.5;
  return bits(kl).value();
}

Variable hybrid_loss(const Path& path, Prediction prediction, const BoundInputs& inputs,
                     const Tensor& eps, const Variable& output, double lambda) {
  const std::int64_t channels = inputs.x0.size(-1);
  check(output.size(-1) == 2 * channels,
        "hybrid loss: output {} for images {}; a learned variance needs twice the channels",
        output.shape(), inputs.x0.shape());
  const Variable mean_part = slice(output, -1, 0, channels);
  const Variable variance_part = slice(output, -1, channels, 2 * channels);
  const Tensor target = prediction_target(prediction, path, inputs.x0, eps, inputs.t);
  const Variable bound = bound_terms(path, prediction, inputs, mean_part.detach(), variance_part);
  return weighted_mse(mean_part, target) + mean(bound) * lambda;
}

}  // namespace ebb
