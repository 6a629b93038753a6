// What all samplers share. A sampler is a function of a Sampling and a start:
//
//   Tensor x0 = ddim({denoiser, path, make_grid(path, 50), {}, {}}, noise);
#pragma once

#include <ebb/diffusion/guidance/denoiser.h>
#include <ebb/diffusion/schedules/noise.h>
#include <ebb/diffusion/schedules/timesteps.h>

#include <limits>

namespace ebb {

// What an observer is shown after each step.
struct StepView {
  std::int64_t step, steps;  // 0-based; the number of steps
  Level level;               // where x is now
  const Tensor& x;
  const Tensor& x0;  // the x_0 last predicted
};
// Progress, pictures; an observer that throws (Cancelled is for that) ends the run.
using Observer = std::function<void(const StepView&)>;
class Cancelled : public Error {
 public:
  Cancelled() : Error("sampling was cancelled") {}
};

struct Sampling {
  Denoiser denoiser;
  Path path;          // for samplers that visit levels between those of the grid
  TimeGrid grid;      // at least two levels
  NoiseSource noise;  // may be empty for a deterministic sampler
  Observer observer;  // may be empty

  std::int64_t steps() const { return static_cast<std::int64_t>(grid.size()) - 1; }
  // noise(like, draw); an empty source is an Error that names `sampler`.
  Tensor draw(std::string_view sampler, const Tensor& like, std::int64_t draw) const;
  void observe(std::int64_t step, const Tensor& x, const Tensor& x0) const;
};

// N(0, start_std^2) for samples `first_sample`...: x at the noise end of the path.
Tensor start_noise(const Path& path, const Shape& shape, std::uint64_t seed,
                   std::int64_t first_sample = 0);

// N(0, I) times first.size(): the same at the first level of a grid.
Tensor start_noise(const Level& first, const Shape& shape, std::uint64_t seed,
                   std::int64_t first_sample = 0);

// q(x_s | x_t, x_0) between two levels of a path, s less noisy (Kingma et al. 2021, app. A;
// Ho et al. 2020, eq. 7): mean x_t coefficient, x_0 coefficient, variance.
struct Posterior {
  double x, x0, variance;
};
Posterior posterior(const Level& t, const Level& s);
// sigma_{t|s}^2 = sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2: the variance of q(x_t | x_s); beta_t
// between neighbours.
double transition_variance(const Level& t, const Level& s);
// The variance of x_s given x_t alone, for data N(0, I): the other extreme to the posterior's,
// which knows x_0 (Ho et al. 2020, sec. 3.2). beta_t on a variance-preserving path.
double unit_posterior_variance(const Level& t, const Level& s);

// A step of the ODE d (x / alpha) / d s = slope: alpha' (x / alpha + (s' - s) slope). alpha > 0.
Tensor move(const Tensor& x, const Level& from, const Level& to, const Tensor& slope);
// s is infinite where alpha = 0: takes the steps that start there as DDIM's, and returns the index
// of the first level with a finite s. With `largest_fall`, so are the first steps that start above
// it and divide s by more than it.
std::int64_t leave_pure_noise(const Sampling& s, Tensor& x,
                              double largest_fall = std::numeric_limits<double>::infinity());

// What a multistep sampler knows: predictions (of x_0 or eps) and the place, lambda or s, where
// each was made.
struct HistoryEntry {
  double at;
  Tensor value;
};
// Puts one in front of `history`, which is latest first and keeps `order` of them. A place visited
// again replaces what the history has there.
void push_history(std::vector<HistoryEntry>& history, double at, const Tensor& value, int order);

}  // namespace ebb
