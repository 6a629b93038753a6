// What a sampler asks: from x at a level, the two ends x_0 and eps.
#pragma once

#include <ebb/diffusion/schedules/path.h>
#include <ebb/diffusion/schedules/prediction.h>
#include <ebb/nn/conditioning.h>

#include <functional>

namespace ebb {

// A network as a sampler sees it: its raw output for x (N, ...) at a level. Guidance wraps these
// (guidance.h), and so is given the level itself: a time that was rounded to a network's float32
// may lie outside the path.
using Predictor = std::function<Tensor(const Tensor& x, const Level& level)>;
// The same with what it is told of each sample.
using ConditionalPredictor =
    std::function<Tensor(const Tensor& x, const Level& level, const Conditioning& given)>;
// What a network is told: level.t for each sample of x, (N), of x's dtype and device.
Tensor times_of(const Level& level, const Tensor& x);

struct Estimate {
  Tensor x0, eps;
  Tensor variance;  // learned-range models: where in [-1, 1] the log variance lies; else undefined
};
using Denoiser = std::function<Estimate(const Tensor& x, const Level& level)>;

struct DenoiserOptions {
  Clip clip = {};
  // The output has twice the channels (the last dimension): prediction, then variance
  // (Nichol & Dhariwal 2021, eq. 15).
  bool learned_variance = false;
};
// The model is shown x and the level, its output read as `prediction`.
Denoiser make_denoiser(Predictor model, Prediction prediction, const DenoiserOptions& options = {});

// x_0 = c_skip x + c_out F(c_in x, t) on a path with alpha = 1 (Karras et al. 2022, table 1):
// c_in = 1 / sqrt(s^2 + d^2), c_skip = d^2 / (s^2 + d^2), c_out = s d / sqrt(s^2 + d^2), d the
// standard deviation of the data.
struct EdmCoefficients {
  double in, skip, out;
};
EdmCoefficients edm_coefficients(double ratio, double sigma_data);
Denoiser edm_denoiser(Predictor model, double sigma_data = 0.5, const Clip& clip = {});
// What F should have said, (x_0 - c_skip x) / c_out: under it EDM's weighted loss is the plain mean
// square. x = x0 + s eps; t (N) are times of `path`.
Tensor edm_target(const Path& path, const Tensor& x0, const Tensor& eps, const Tensor& t,
                  double sigma_data = 0.5);
// A consistency model (Song et al. 2023, app. C): as above with s - sigma_min in c_skip and c_out,
// so that x_0 = x at s = sigma_min.
Denoiser consistency_denoiser(Predictor model, double sigma_data = 0.5, double sigma_min = 0.002,
                              const Clip& clip = {});

}  // namespace ebb
