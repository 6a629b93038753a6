// What a model predicts of x_t = alpha x_0 + sigma eps, and how to read one from another.
//
//   epsilon  eps                   (Ho et al. 2020)
//   x0       x_0
//   v        alpha eps - sigma x_0 (Salimans & Ho 2022, app. D)
//   flow     eps - x_0             (Liu et al. 2023: the velocity of the straight path)
#pragma once

#include <ebb/diffusion/schedules/path.h>
#include <ebb/tensor/tensor.h>

#include <string_view>

namespace ebb {

enum class Prediction : std::uint8_t { epsilon, x0, v, flow };
std::string_view name_of(Prediction prediction);
Prediction parse_prediction(std::string_view name);  // an unknown name is an Error

// Both ends of x: x = alpha x0 + sigma eps.
struct X0Eps {
  Tensor x0, eps;
};
// From a model's output at x. epsilon at alpha = 0 and x0 at sigma = 0 are an Error: there the
// output says nothing about the other end.
X0Eps x0_eps_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level);
// What the model should have said.
Tensor output_of(Prediction prediction, const X0Eps& ends, const Level& level);
Tensor convert(Prediction from, Prediction to, const Tensor& x, const Tensor& output,
               const Level& level);

// The levels at times t (N) of any dtype, one for each sample of x (N, ...). A time outside the
// path is an Error; but an end of the path as float32 rounds it is that end.
std::vector<Level> levels_of(std::string_view operation, const Path& path, const Tensor& x,
                             const Tensor& t);
// The forward process with a level for each sample: alpha_n x0[n] + sigma_n eps[n] (Ho et al. 2020,
// eq. 4), and the training target. x0 and eps (N, ...), N levels.
Tensor add_noise(const std::vector<Level>& levels, const Tensor& x0, const Tensor& eps);
Tensor prediction_target(Prediction prediction, const std::vector<Level>& levels, const Tensor& x0,
                         const Tensor& eps);
// The same with a time for each sample, t (N) as above.
Tensor add_noise(const Path& path, const Tensor& x0, const Tensor& eps, const Tensor& t);
Tensor prediction_target(Prediction prediction, const Path& path, const Tensor& x0,
                         const Tensor& eps, const Tensor& t);
// (N, 1, ..., 1), of x's dtype and device: one number for each sample, ready to broadcast on x.
Tensor per_sample(const std::vector<double>& values, const Tensor& x);
// a[n] x[n] + b[n] y[n]; x, y (N, ...).
Tensor mix(const std::vector<double>& a, const Tensor& x, const std::vector<double>& b,
           const Tensor& y);

// x_0 brought into the range of the data.
struct Clip {
  enum class Kind : std::uint8_t { none, range, dynamic };
  Kind kind = Kind::none;
  double range = 1;  // range: clamp to [-range, range]
  // dynamic (Saharia et al. 2022, sec. 2.3): s = the percentile of |x_0| of each sample, held in
  // [1, maximum]; clamp to [-s, s], then divide by s.
  double percentile = 0.995, maximum = 1;
  // eps follows the clipped x_0, so that x = alpha x_0 + sigma eps still holds.
  bool rederive_epsilon = true;
};
Tensor clip_x0(const Tensor& x0, const Clip& clip);

}  // namespace ebb
