#include <ebb/diffusion/schedules/path.h>
#include <ebb/tensor/error.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numbers>

namespace ebb {
namespace {

// A table of ratios, continued between its points and inverted. Between two points a coordinate of
// the ratio is linear in t.
class RatioTable {
 public:
  RatioTable(std::vector<double> ratios, TableInterpolation interpolation)
      : ratios_(std::move(ratios)), interpolation_(interpolation) {}

  double ratio(double t) const {
    const std::size_t i = segment(static_cast<std::size_t>(t));
    const double w = t - static_cast<double>(i);
    if (w == 0) return ratios_[i];
    if (w == 1) return ratios_[i + 1];
    return from(i, (1 - w) * to(i, ratios_[i]) + w * to(i, ratios_[i + 1]));
  }

  double time(double s) const {
    if (ratios_.size() == 1) return 0;
    const auto above = std::upper_bound(ratios_.begin(), ratios_.end(), s);
    const std::size_t i = segment(
        above == ratios_.begin() ? 0 : static_cast<std::size_t>(above - ratios_.begin() - 1));
    const double low = to(i, ratios_[i]), high = to(i, ratios_[i + 1]);
    return static_cast<double>(i) + std::clamp((to(i, s) - low) / (high - low), 0.0, 1.0);
  }

 private:
  std::size_t segment(std::size_t i) const {
    return ratios_.size() < 2 ? 0 : std::min(i, ratios_.size() - 2);
  }
  // An infinite end has a finite angle only.
  bool angular(std::size_t i) const { return i + 1 < ratios_.size() && std::isinf(ratios_[i + 1]); }
  double to(std::size_t i, double s) const {
    if (angular(i)) return std::atan(s);
    return interpolation_ == TableInterpolation::ratio ? s : std::log(s);
  }
  double from(std::size_t i, double u) const {
    if (angular(i)) return std::tan(u);
    return interpolation_ == TableInterpolation::ratio ? u : std::exp(u);
  }

  std::vector<double> ratios_;
  TableInterpolation interpolation_;
};

}  // namespace

Level level_of_ratio(Scaling scaling, double s, double t) {
  check(s >= 0, "level: ratio sigma / alpha = {}; it must be at least 0", s);
  const double inverse = 1 / s;
  switch (scaling) {
    case Scaling::variance_preserving:
      return {t, 1 / std::hypot(1, s), 1 / std::hypot(1, inverse)};
    case Scaling::flow:
      return {t, 1 / (1 + s), 1 / (1 + inverse)};
    case Scaling::variance_exploding:
      break;
  }
  check(std::isfinite(s),
        "level: pure noise (alpha = 0) has no place on a path with alpha = 1; "
        "start from a finite sigma");
  return {t, 1, s};
}

double dynamic_shift(std::int64_t tokens, double mu_base, double mu_max) {
  check(tokens >= 1, "dynamic shift: {} tokens; at least 1 is needed", tokens);
  return std::exp(mu_base + (mu_max - mu_base) * static_cast<double>(tokens - 256) / (4096 - 256));
}

Path Path::discrete(std::vector<double> alphas_cumprod, TableInterpolation interpolation) {
  check(!alphas_cumprod.empty(), "path: an empty table of alpha_bar; at least one step is needed");
  std::vector<double> ratios;
  double before = 1;
  for (const double a : alphas_cumprod) {
    check(a >= 0 && a < before,
          "path: alpha_bar goes from {} to {} at t = {}; it must fall from below 1 to at least 0",
          before, a, ratios.size());
    ratios.push_back(std::sqrt((1 - a) / a));
    before = a;
  }
  Path path;
  path.steps_ = static_cast<std::int64_t>(ratios.size());
  path.t_noise_ = static_cast<double>(path.steps_ - 1);
  auto table = std::make_shared<const RatioTable>(std::move(ratios), interpolation);
  path.ratio_ = [table](double t) { return table->ratio(t); };
  path.time_ = [table](double s) { return table->time(s); };
  return path;
}

Path Path::edm(double sigma_min, double sigma_max) {
  check(sigma_min > 0 && sigma_min < sigma_max && std::isfinite(sigma_max),
        "edm path: sigma from {} to {}; needs 0 < sigma_min < sigma_max", sigma_min, sigma_max);
  return continuous(
      Scaling::variance_exploding, [](double t) { return std::exp(4 * t); },
      [](double s) { return std::log(s) / 4; }, std::log(sigma_min) / 4, std::log(sigma_max) / 4);
}

Path Path::flow(double shift, double time_scale) {
  check(shift > 0 && time_scale > 0 && std::isfinite(shift) && std::isfinite(time_scale),
        "flow path: shift {} and time scale {} must be positive", shift, time_scale);
  Path path = continuous(
      Scaling::flow, [=](double t) { return t / (time_scale - t); },
      [=](double s) { return time_scale / (1 + 1 / s); }, 0, time_scale);
  path.shift_ = shift;
  return path;
}

Path Path::continuous(Scaling scaling, std::function<double(double)> ratio,
                      std::function<double(double)> time, double t_data, double t_noise) {
  check(t_data < t_noise, "path: times from {} (data) to {} (noise); they must grow", t_data,
        t_noise);
  Path path;
  path.scaling_ = scaling;
  path.ratio_ = std::move(ratio);
  path.time_ = std::move(time);
  path.t_data_ = t_data;
  path.t_noise_ = t_noise;
  return path;
}

Path Path::rescaled(Scaling scaling) const {
  Path path = *this;
  path.scaling_ = scaling;
  return path;
}

Level Path::at(double t) const {
  if (steps_ > 0 && t == -1) return clean();
  check(t >= t_data_ && t <= t_noise_, "path: t = {} is outside [{}, {}]", t, t_data_, t_noise_);
  return level_of_ratio(scaling_, ratio_(t), t);
}

Level Path::at_ratio(double s) const {
  check(s >= 0, "path: ratio sigma / alpha = {}; it must be at least 0", s);
  return level_of_ratio(scaling_, s, std::clamp(time_(s), t_data_, t_noise_));
}

double Path::time_at(double u) const {
  check(u >= 0 && u <= 1, "path: u = {}; it must be in [0, 1]", u);
  const double shifted = shift_ * u / (1 + (shift_ - 1) * u);
  return std::min(std::lerp(t_data_, t_noise_, shifted), t_noise_);
}

Level Path::clean() const { return {steps_ > 0 ? -1.0 : t_data_, 1, 0}; }

double Path::start_std() const {
  return scaling_ == Scaling::variance_exploding ? std::hypot(1, at(t_noise_).sigma) : 1;
}

}  // namespace ebb
