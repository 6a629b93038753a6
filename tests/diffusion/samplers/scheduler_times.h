// The time grids of the reference's schedulers, as they define them: some are not ours.
#pragma once

#include <algorithm>

#include "tests/diffusion/samplers/scheduler_row.h"

namespace ebb::test {

inline std::vector<double> rounded(std::vector<double> values) {
  for (double& v : values) v = std::nearbyint(v);  // ties to even
  return values;
}

// Descending times of a "plain" scheduler (DDPM, DDIM, PNDM): `leading` unless configured.
inline std::vector<double> plain_times(Config& config, std::int64_t T, std::int64_t n) {
  const std::string spacing = config.text("timestep_spacing", "leading");
  const auto offset = static_cast<std::int64_t>(config.number("steps_offset", 0));
  if (spacing == "leading") return leading_times(T, n, offset);
  if (spacing == "linspace") return rounded(linspace_times(T, n));
  if (spacing == "trailing") return trailing_times(T, n);
  fail("golden: no spacing is called '{}'", spacing);
}

// Descending times of a multistep scheduler over 0..last-1: n + 1 points without the lowest.
inline std::vector<double> multistep_times(Config& config, std::int64_t last, std::int64_t T,
                                           std::int64_t n) {
  const std::string spacing = config.text("timestep_spacing", "linspace");
  const double offset = config.number("steps_offset", 0);
  std::vector<double> times;
  if (spacing == "linspace") {
    times = rounded(linspace_times(last, n + 1));
    times.pop_back();
  } else if (spacing == "leading") {
    const auto stride = static_cast<double>(last / (n + 1));
    for (std::int64_t k = n; k >= 1; --k) times.push_back(static_cast<double>(k) * stride + offset);
  } else if (spacing == "trailing") {
    const double stride = static_cast<double>(T) / static_cast<double>(n);
    for (double t = static_cast<double>(last); t > 1e-9; t -= stride)
      times.push_back(std::nearbyint(t) - 1);
  } else {
    fail("golden: no spacing is called '{}'", spacing);
  }
  return times;
}

// Number of steps left by lambda_min_clipped.
inline std::int64_t clipped_steps(Config& config, const Path& path) {
  const double least =
      config.number("lambda_min_clipped", -std::numeric_limits<double>::infinity());
  std::int64_t last = path.steps();
  while (last > 1 && path.lambda(static_cast<double>(last - 1)) < least) --last;
  return last;
}

// The grid of a multistep scheduler (DPM-Solver, UniPC, DEIS): even times, or Karras, exponential
// or lambda-uniform ratios with rounded times; sigma_min or zero at its end.
inline TimeGrid multistep_grid(Config& config, const Path& path, std::int64_t n,
                               bool final_sigma_min = true) {
  const double low = path.at(0).ratio(), high = path.at(path.t_noise()).ratio();
  const std::string end = config.text("final_sigmas_type", final_sigma_min ? "sigma_min" : "zero");
  check(end == "sigma_min" || end == "zero", "golden: no final sigma is called '{}'", end);
  const Level last = end == "zero" ? path.clean() : path.at(0);
  const bool karras = config.flag("use_karras_sigmas", false);
  const bool lu = config.flag("use_lu_lambdas", false);
  const bool even = config.flag("use_exponential_sigmas", lu);
  const std::vector<double> times =
      multistep_times(config, clipped_steps(config, path), path.steps(), n);
  if (!karras && !even) return grid_of_times(path, times, last);
  TimeGrid grid = grid_of_ratios(
      path, karras ? karras_ratios(n, low, high) : exponential_ratios(n, low, high), last);
  for (Level& level : grid) level.t = std::nearbyint(level.t);
  return grid;
}

// Ascending, for the inverse: the times lose their repeats, the ratios keep them.
inline TimeGrid inverse_multistep_grid(Config& config, const Path& path, std::int64_t n) {
  const std::int64_t last = clipped_steps(config, path);
  const Level noisiest = path.at(static_cast<double>(last - 1));
  const std::string spacing = config.text("timestep_spacing", "linspace");
  const double offset = config.number("steps_offset", 0);
  std::vector<double> times;
  if (spacing == "linspace") {
    times = rounded(linspace_times(last, n + 1));
    std::reverse(times.begin(), times.end());
    times.pop_back();
  } else if (spacing == "leading") {
    for (std::int64_t k = 0; k < n; ++k)
      times.push_back(static_cast<double>(k * (last / (n + 1))) + offset);
  } else {
    times = multistep_times(config, last, path.steps(), n);
    std::reverse(times.begin(), times.end());
  }
  std::vector<double> ratios;
  if (config.flag("use_karras_sigmas", false)) {
    ratios = karras_ratios(n, path.at(0).ratio(), path.at(path.t_noise()).ratio());
    std::reverse(ratios.begin(), ratios.end());
    times.clear();
    for (const double s : ratios) times.push_back(std::nearbyint(path.at_ratio(s).t));
    ratios.push_back(ratios.back());
  } else {
    for (const double t : times) ratios.push_back(path.at(t).ratio());
    ratios.push_back(noisiest.ratio());
  }
  std::vector<double> unique = times;
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  TimeGrid grid;
  for (std::size_t i = 0; i <= unique.size(); ++i)
    grid.push_back(
        level_of_ratio(path.scaling(), ratios[i], unique[std::min(i, unique.size() - 1)]));
  return grid;
}

}  // namespace ebb::test
