// Which levels a sampler visits. A TimeGrid goes from noise to data (from data to noise for an
// inversion); a sampler makes grid.size() - 1 steps. Levels may repeat and times may be real.
#pragma once

#include <ebb/diffusion/path.h>

#include <cstdint>
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
};
std::string_view name_of(Spacing spacing);
Spacing parse_spacing(std::string_view name);  // an unknown name is an Error that lists them

// n times of a table of T steps, from noise to data. n < 1 or n > T is an Error.
std::vector<double> trailing_times(std::int64_t T, std::int64_t n);
std::vector<double> leading_times(std::int64_t T, std::int64_t n, std::int64_t offset = 0);
std::vector<double> linspace_times(std::int64_t T, std::int64_t n);

// n ratios s from `high` to `low`, both in; 0 < low <= high, n >= 1; else Error.
std::vector<double> karras_ratios(std::int64_t n, double low, double high, double rho = 7);
std::vector<double> exponential_ratios(std::int64_t n, double low, double high);

// The levels of explicit times or ratios, then `last`.
TimeGrid grid_of_times(const Path& path, const std::vector<double>& times, const Level& last);
TimeGrid grid_of_ratios(const Path& path, const std::vector<double>& ratios, const Level& last);

// n steps down `path`, ending at path.clean(). On a continuous path trailing is n even steps from
// t_noise to t_data, leading and linspace are an Error. karras and exponential start at the noise
// end, but unless alpha = 1 at s = e^5.1 at most: beyond lambda = -5.1 there is only noise (as the
// code of Lu et al. 2022b clips the cosine schedule; diffusers' lambda_min_clipped).
TimeGrid make_grid(const Path& path, std::int64_t n, Spacing spacing = Spacing::trailing);

}  // namespace ebb
