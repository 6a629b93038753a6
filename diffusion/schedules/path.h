// A path from data to noise: x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, I).
//
// Whatever made it, a path is two things: the ratio sigma / alpha as a function of a real t, and
// a scaling, which says how large x_t is at a given ratio. Two paths with the same ratio differ by
// a factor of x_t alone (Karras et al. 2022, sec. 3; Kingma et al. 2021, app. G), so samplers
// agree on them.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ebb {

// A point of a path.
struct Level {
  double t = 0;  // what the model is told
  double alpha = 1, sigma = 0;

  double ratio() const { return sigma / alpha; }             // s; infinite for pure noise
  double lambda() const { return std::log(alpha / sigma); }  // half the log of the SNR
  // Standard deviation of x for data of unit variance.
  double size() const { return std::hypot(alpha, sigma); }
  double snr() const { return alpha * alpha / (sigma * sigma); }
};

enum class Scaling : std::uint8_t {
  variance_preserving,  // alpha^2 + sigma^2 = 1
  variance_exploding,   // alpha = 1
  flow,                 // alpha + sigma = 1: a straight line from x_0 to eps
};

// The shift of a flow path that grows with the image, as diffusers' use_dynamic_shifting: e^mu, mu
// linear in the tokens that the network sees, from mu_base at 256 to mu_max at 4096.
double dynamic_shift(std::int64_t tokens, double mu_base = 0.5, double mu_max = 1.15);

// The level of ratio s >= 0 (infinity is legal but for variance_exploding) and time t.
Level level_of_ratio(Scaling scaling, double s, double t);

// How a table of alpha_bar is continued to real t between two integers.
enum class TableInterpolation : std::uint8_t {
  log_ratio,  // log s linear in t (k-diffusion); angles atan(s) beside an infinite s
  ratio,      // s linear in t
};

class Path {
 public:
  // t = 0..T-1 and the reals between; t = -1 is clean data. alpha_bar must fall strictly within
  // [0, 1), zero only at the end; else Error.
  static Path discrete(std::vector<double> alphas_cumprod,
                       TableInterpolation interpolation = TableInterpolation::log_ratio);
  // sigma = s in [sigma_min, sigma_max], alpha = 1, t = log(sigma) / 4 (Karras et al. 2022).
  static Path edm(double sigma_min = 0.002, double sigma_max = 80);
  // sigma = t / time_scale in [0, 1], alpha = 1 - sigma (rectified flow, Liu et al. 2023). A shift
  // k says which of these are visited, in training and sampling: for u even in [0, 1] those of
  // sigma = k u / (1 + (k - 1) u) (Esser et al. 2024, eq. 23). The model is told the shifted sigma.
  static Path flow(double shift = 1, double time_scale = 1);
  // Any other: `ratio` grows on [t_data, t_noise] and `time` inverts it. ratio(t_data) = 0, or
  // the path has a least noise above which models are trained.
  static Path continuous(Scaling scaling, std::function<double(double)> ratio,
                         std::function<double(double)> time, double t_data, double t_noise);
  // The same ratio at every t under another scaling.
  Path rescaled(Scaling scaling) const;

  // The level at t. Outside [t_data(), t_noise()] is an Error (t = -1 of a table is clean()).
  Level at(double t) const;
  double alpha(double t) const { return at(t).alpha; }
  double sigma(double t) const { return at(t).sigma; }
  double lambda(double t) const { return at(t).lambda(); }
  // The level with exactly this ratio, s >= 0; its t is the nearest in [t_data(), t_noise()].
  Level at_ratio(double s) const;
  Level at_lambda(double lambda) const { return at_ratio(std::exp(-lambda)); }
  // The time at u in [0, 1], 0 at the data: even in t but for a shift. In [t_data(), t_noise()].
  double time_at(double u) const;
  // Where every sampler wants to end: sigma = 0. Its t is never shown to a model.
  Level clean() const;

  double t_data() const { return t_data_; }      // least time a model is told
  double t_noise() const { return t_noise_; }    // largest
  std::int64_t steps() const { return steps_; }  // T of a table, 0 for a continuous path
  Scaling scaling() const { return scaling_; }
  // Standard deviation of x_T for data of unit variance: 1, but sqrt(1 + sigma^2) where alpha = 1.
  double start_std() const;

 private:
  Path() = default;

  Scaling scaling_ = Scaling::variance_preserving;
  std::function<double(double)> ratio_, time_;
  double t_data_ = 0, t_noise_ = 0;
  std::int64_t steps_ = 0;
  double shift_ = 1;
};

}  // namespace ebb
