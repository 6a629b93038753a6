// Which levels a sampler visits. A TimeGrid goes from noise to data (from data to noise for an
// inversion); a sampler makes grid.size() - 1 steps. Levels may repeat and times may be real.
#pragma once

#include <ebb/diffusion/schedules/path.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ebb {

using TimeGrid = std::vector<Level>;

enum class Spacing : std::uint8_t {
  trailing,     // starts at T-1: round(T - k T/n) - 1 (Lin et al. 2023, table 2). The default
  leading,      // k floor(T/n): ends at 0, never starts at T-1; the tutorial's
  linspace,     // n even points of [0, T-1], both ends in, real
  karras,       // even in s^(1/7) (Karras et al. 2022, eq. 5)
  exponential,  // even in log s: uniform in lambda
  // The two grids of diffusers' multistep solvers: of n + 1 points, the last left out.
  leading_multistep,   // k floor(T/(n+1)), k from n to 1
  linspace_multistep,  // round((T-1) k/n), k from n to 1
  beta,                // s by the quantiles of Beta(0.6, 0.6) (Lee et al. 2024, "Beta Sampling")
  ays_sd,
  ays_sdxl,
  ays_svd,  // tables made for three models (Sabour et al. 2024)
};
std::string_view name_of(Spacing spacing);
Spacing parse_spacing(std::string_view name);  // an unknown name is an Error that lists them

// n times of a table of T steps, from noise to data. n < 1 or n > T is an Error.
std::vector<double> trailing_times(std::int64_t T, std::int64_t n);
std::vector<double> leading_times(std::int64_t T, std::int64_t n, std::int64_t offset = 0);
std::vector<double> linspace_times(std::int64_t T, std::int64_t n);
// n < T.
std::vector<double> leading_multistep_times(std::int64_t T, std::int64_t n,
                                            std::int64_t offset = 0);
std::vector<double> linspace_multistep_times(std::int64_t T, std::int64_t n);

// n ratios s from `high` to `low`, both in; 0 < low <= high, n >= 1; else Error.
std::vector<double> karras_ratios(std::int64_t n, double low, double high, double rho = 7);
std::vector<double> exponential_ratios(std::int64_t n, double low, double high);
// low + q (high - low), q the quantiles of Beta(a, b) at n even points from 1 to 0.
std::vector<double> beta_ratios(std::int64_t n, double low, double high, double a = 0.6,
                                double b = 0.6);
// "Align Your Steps": the published ratios of ten steps and their end, log s linear in between, at
// n + 1 even points of which the last is left out. `spacing` is one of ays_*.
std::vector<double> ays_ratios(std::int64_t n, Spacing spacing);

// The levels of explicit times or ratios, then `last`.
TimeGrid grid_of_times(const Path& path, const std::vector<double>& times, const Level& last);
TimeGrid grid_of_ratios(const Path& path, const std::vector<double>& ratios, const Level& last);

struct TimeGridOptions {
  Spacing spacing = Spacing::trailing;
  // leading, leading_multistep: added to every time (diffusers' steps_offset).
  std::int64_t steps_offset = 0;
  // karras, exponential, beta: the ends of s instead of the path's, within them.
  std::optional<double> sigma_min = {}, sigma_max = {};
  // Spacings of s on a table: the model is told whole times, as by diffusers' solvers: karras the
  // nearest, the others the one below; s stays.
  bool round_times = false;
  // X0Eps at the path's least noisy time instead of clean data (diffusers' set_alpha_to_one = false
  // and final_sigmas_type = "sigma_min").
  bool end_at_first = false;
};
// n steps down `path`, ending at path.clean(). On a continuous path trailing is n steps even in u
// of path.time_at(u), and the spacings of integer times are an Error, as is an option that the
// spacing does not take. karras, exponential and beta start at the noise end, but unless alpha = 1
// at s = e^5.1 at most: beyond lambda = -5.1 there is only noise (as the code of Lu et al. 2022b
// clips the cosine schedule; diffusers' lambda_min_clipped). ays_* never go beyond the noise end.
TimeGrid make_grid(const Path& path, std::int64_t n, const TimeGridOptions& options);
TimeGrid make_grid(const Path& path, std::int64_t n, Spacing spacing = Spacing::trailing);

}  // namespace ebb
