#include <ebb/diffusion/schedule.h>
#include <ebb/diffusion/timesteps.h>
#include <ebb/tensor/error.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

namespace ebb {
namespace {

constexpr std::array<std::string_view, 5> names{"trailing", "leading", "linspace", "karras",
                                                "exponential"};

void check_count(std::string_view spacing, std::int64_t T, std::int64_t n) {
  check(n >= 1 && n <= T, "{} spacing: {} steps of a schedule of {}; from 1 to {} are possible",
        spacing, n, T, T);
}

void check_ratios(std::string_view spacing, std::int64_t n, double low, double high) {
  check(n >= 1, "{} spacing: {} steps; at least 1 is needed", spacing, n);
  check(low > 0 && low <= high && std::isfinite(high),
        "{} spacing: sigma / alpha from {} down to {}; needs 0 < low <= high", spacing, high, low);
}

// Powers and logarithms meet their ends only nearly; a level that repeats must do so exactly.
std::vector<double> with_ends(std::vector<double> ratios, double low, double high) {
  ratios.back() = low;
  ratios.front() = high;
  return ratios;
}

// Where a grid that is even in a power of s, or in its log, starts: at the noise end, or where s
// has become so large (lambda = -5.1) that the rest of the path is only noise, which would take
// most of the steps (the cosine schedule's s goes beyond 10^4). Where alpha = 1 the noise end is
// one that somebody chose.
double first_ratio(const Path& path) {
  const double end = path.at(path.t_noise()).ratio();
  return path.scaling() == Scaling::variance_exploding ? end : std::min(end, std::exp(5.1));
}
double smallest_ratio(const Path& path) {
  const double end = path.at(path.t_data()).ratio();
  return end > 0 ? end : path.at(path.t_data() + (path.t_noise() - path.t_data()) / 1000).ratio();
}

}  // namespace

std::string_view name_of(Spacing spacing) { return names[static_cast<std::size_t>(spacing)]; }

Spacing parse_spacing(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Spacing>(i);
  fail("spacing: '{}' is unknown; one of {}", name, fmt::join(names, ", "));
}

std::vector<double> trailing_times(std::int64_t T, std::int64_t n) {
  check_count("trailing", T, n);
  std::vector<double> times;
  for (std::int64_t k = 0; k < n; ++k) {
    const double t = static_cast<double>(T) - static_cast<double>(k * T) / static_cast<double>(n);
    times.push_back(std::nearbyint(t) - 1);
  }
  return times;
}

std::vector<double> leading_times(std::int64_t T, std::int64_t n, std::int64_t offset) {
  check_count("leading", T, n);
  const std::int64_t stride = T / n;
  check(offset >= 0 && (n - 1) * stride + offset < T,
        "leading spacing: offset {} puts the first of {} times outside 0..{}", offset, n, T - 1);
  std::vector<double> times;
  for (std::int64_t k = n - 1; k >= 0; --k)
    times.push_back(static_cast<double>(k * stride + offset));
  return times;
}

std::vector<double> linspace_times(std::int64_t T, std::int64_t n) {
  check_count("linspace", T, n);
  std::vector<double> times;
  for (std::int64_t k = 0; k < n; ++k)
    times.push_back(even_point(static_cast<double>(T - 1), 0, k, n));
  return times;
}

std::vector<double> karras_ratios(std::int64_t n, double low, double high, double rho) {
  check_ratios("karras", n, low, high);
  check(rho > 0, "karras spacing: rho = {}; it must be positive", rho);
  std::vector<double> ratios;
  for (std::int64_t k = 0; k < n; ++k)
    ratios.push_back(
        std::pow(even_point(std::pow(high, 1 / rho), std::pow(low, 1 / rho), k, n), rho));
  return with_ends(std::move(ratios), low, high);
}

std::vector<double> exponential_ratios(std::int64_t n, double low, double high) {
  check_ratios("exponential", n, low, high);
  std::vector<double> ratios;
  for (std::int64_t k = 0; k < n; ++k)
    ratios.push_back(std::exp(even_point(std::log(high), std::log(low), k, n)));
  return with_ends(std::move(ratios), low, high);
}

TimeGrid grid_of_times(const Path& path, const std::vector<double>& times, const Level& last) {
  TimeGrid grid;
  for (const double t : times) grid.push_back(path.at(t));
  grid.push_back(last);
  return grid;
}

TimeGrid grid_of_ratios(const Path& path, const std::vector<double>& ratios, const Level& last) {
  TimeGrid grid;
  for (const double s : ratios) grid.push_back(path.at_ratio(s));
  grid.push_back(last);
  return grid;
}

TimeGrid make_grid(const Path& path, std::int64_t n, Spacing spacing) {
  if (spacing == Spacing::karras || spacing == Spacing::exponential) {
    const double low = smallest_ratio(path), high = first_ratio(path);
    return grid_of_ratios(
        path,
        spacing == Spacing::karras ? karras_ratios(n, low, high) : exponential_ratios(n, low, high),
        path.clean());
  }
  const std::int64_t T = path.steps();
  if (T > 0)
    return grid_of_times(path,
                         spacing == Spacing::trailing  ? trailing_times(T, n)
                         : spacing == Spacing::leading ? leading_times(T, n)
                                                       : linspace_times(T, n),
                         path.clean());
  check(
      spacing == Spacing::trailing,
      "{} spacing needs a table of steps; on a continuous path use trailing, karras or exponential",
      name_of(spacing));
  check(n >= 1, "trailing spacing: {} steps; at least 1 is needed", n);
  std::vector<double> times;
  for (std::int64_t k = 0; k < n; ++k)
    times.push_back(even_point(path.t_noise(), path.t_data(), k, n + 1));
  return grid_of_times(path, times, path.clean());
}

}  // namespace ebb
