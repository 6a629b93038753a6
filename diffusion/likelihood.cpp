#include <ebb/diffusion/likelihood.h>
#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/tensor/pointwise.h>
#include <ebb/tensor/reduce.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {

namespace {

// log of the integral of N(0, 1) over [low, high]; both are moved into the lower tail, where the
// difference keeps its digits.
double log_normal_mass(double low, double high) {
  if (low > 0) {
    std::swap(low, high);
    low = -low;
    high = -high;
  }
  const auto below = [](double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; };
  return std::log(std::max(below(high) - below(low), 1e-300));
}

Tensor noised(const Tensor& images, const Level& level, const BoundOptions& options,
              std::int64_t draw) {
  const Tensor eps = philox_noise(options.seed, options.first_sample, Purpose::noise)(images, draw);
  return axpby(level.alpha, images, level.sigma, eps);
}

// Nats per image of KL(q(x_s | x_t, x_0) || p(x_s | x_t)): Gaussians of equal variance.
double step_divergence(const Denoiser& denoiser, const Tensor& images, const Level& from,
                       const Level& to, const BoundOptions& options, std::int64_t draw) {
  const Posterior q = posterior(from, to);
  const Tensor x0 = denoiser(noised(images, from, options, draw), from).x0;
  return q.x0 * q.x0 / (2 * q.variance) * sum(square(sub(images, x0).to(DType::float64))).item() /
         static_cast<double>(images.size(0));
}

double prior_divergence(const Tensor& images, const Level& level) {
  const double square_sum = sum(square(images.to(DType::float64))).item();
  const double variance = level.sigma * level.sigma;
  const double elements = static_cast<double>(images.numel());
  return (level.alpha * level.alpha * square_sum + elements * (variance - 1 - std::log(variance))) /
         2 / static_cast<double>(images.size(0));
}

}  // namespace

Tensor log_mass_of_bin(const Tensor& x, const Tensor& mean, double std) {
  check(x.shape() == mean.shape(), "log_mass_of_bin: shapes {} and {} differ", x.shape(),
        mean.shape());
  const std::vector<double> values = x.to_vector<double>(), means = mean.to_vector<double>();
  std::vector<double> result;
  const double infinity = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double low = values[i] < -0.999 ? -infinity : values[i] - 1.0 / 255 - means[i];
    const double high = values[i] > 0.999 ? infinity : values[i] + 1.0 / 255 - means[i];
    result.push_back(log_normal_mass(low / std, high / std));
  }
  return Tensor::from(result, x.shape());
}

BitsPerDimension bits_per_dimension(const Denoiser& denoiser, const TimeGrid& grid,
                                    const Tensor& images, const BoundOptions& options) {
  check(grid.size() >= 2 && images.rank() >= 2 && images.size(0) > 0,
        "bits_per_dimension: a grid of {} levels and images {}; two levels and one image are the "
        "least",
        grid.size(), images.shape());
  for (const Level& level : grid)
    check(
        std::abs(level.alpha * level.alpha + level.sigma * level.sigma - 1) < 1e-6,
        "bits_per_dimension: alpha {} and sigma {} do not preserve the variance; rescale the path",
        level.alpha, level.sigma);
  const std::int64_t steps = static_cast<std::int64_t>(grid.size()) - 2;
  const std::int64_t parts = std::clamp<std::int64_t>(options.evaluations, 0, steps);
  check(parts > 0 || steps == 0, "bits_per_dimension: {} evaluations; at least 1 is needed",
        options.evaluations);

  BitsPerDimension nats;
  nats.prior = prior_divergence(images, grid.front());
  const std::vector<double> u =
      philox_uniform({1, parts}, {options.seed, Purpose::timestep, 0,
                                  static_cast<std::uint64_t>(options.first_sample)})
          .to_vector<double>();
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t first = steps * part / parts, last = steps * (part + 1) / parts;
    const auto at = static_cast<std::size_t>(
        first + static_cast<std::int64_t>(u[static_cast<std::size_t>(part)] *
                                          static_cast<double>(last - first)));
    nats.steps += static_cast<double>(last - first) *
                  step_divergence(denoiser, images, grid[at], grid[at + 1], options, part);
  }
  const Level& least = grid[grid.size() - 2];
  const Tensor x0 = denoiser(noised(images, least, options, parts), least).x0;
  nats.decoder =
      -sum(log_mass_of_bin(images, x0, least.ratio())).item() / static_cast<double>(images.size(0));

  const double bits = static_cast<double>(images.size(0)) /
                      (static_cast<double>(images.numel()) * std::numbers::ln2);
  return {nats.prior * bits, nats.steps * bits, nats.decoder * bits};
}

}  // namespace ebb
