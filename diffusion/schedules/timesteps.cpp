#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/timesteps.h>
#include <ebb/tensor/error.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

namespace ebb {
namespace {

constexpr std::array<std::string_view, 11> spacing_names{
    "trailing",           "leading", "linspace", "karras",   "exponential", "leading_multistep",
    "linspace_multistep", "beta",    "ays_sd",   "ays_sdxl", "ays_svd"};

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
  return end > 0 ? end : path.at(path.time_at(0.001)).ratio();
}

bool is_ays(Spacing s) { return s >= Spacing::ays_sd; }
bool is_even_in_ratio(Spacing s) {
  return s == Spacing::karras || s == Spacing::exponential || s == Spacing::beta;
}
bool is_leading(Spacing s) { return s == Spacing::leading || s == Spacing::leading_multistep; }

void check_options(const Path& path, const TimeGridOptions& o) {
  const std::string_view name = name_of(o.spacing);
  check(o.steps_offset == 0 || is_leading(o.spacing),
        "{} spacing: takes no steps offset ({}); leading and leading_multistep do", name,
        o.steps_offset);
  check((!o.sigma_min && !o.sigma_max) || is_even_in_ratio(o.spacing),
        "{} spacing: takes no sigma_min and sigma_max; karras, exponential and beta do", name);
  check(!o.round_times || (path.steps() > 0 && (is_even_in_ratio(o.spacing) || is_ays(o.spacing))),
        "{} spacing: rounded times are for karras, exponential, beta and ays_* on a table of steps",
        name);
  const double least = path.at(path.t_data()).ratio(), most = path.at(path.t_noise()).ratio();
  for (const std::optional<double>& end : {o.sigma_min, o.sigma_max})
    check(!end || (*end > 0 && *end >= least && *end <= most && std::isfinite(*end)),
          "{} spacing: sigma / alpha of {} is outside the path's [{}, {}]", name, end.value_or(0),
          least, most);
}

std::vector<double> ratios_of(const Path& path, std::int64_t n, const TimeGridOptions& o) {
  if (is_ays(o.spacing)) {
    std::vector<double> ratios = ays_ratios(n, o.spacing);
    for (double& s : ratios) s = std::min(s, path.at(path.t_noise()).ratio());
    return ratios;
  }
  const double low = o.sigma_min.value_or(smallest_ratio(path));
  const double high = o.sigma_max.value_or(first_ratio(path));
  if (o.spacing == Spacing::karras) return karras_ratios(n, low, high);
  if (o.spacing == Spacing::beta) return beta_ratios(n, low, high);
  return exponential_ratios(n, low, high);
}

std::vector<double> times_of_table(std::int64_t T, std::int64_t n, const TimeGridOptions& o) {
  switch (o.spacing) {
    case Spacing::leading:
      return leading_times(T, n, o.steps_offset);
    case Spacing::leading_multistep:
      return leading_multistep_times(T, n, o.steps_offset);
    case Spacing::linspace:
      return linspace_times(T, n);
    case Spacing::linspace_multistep:
      return linspace_multistep_times(T, n);
    default:
      return trailing_times(T, n);
  }
}

}  // namespace

std::string_view name_of(Spacing spacing) {
  return spacing_names[static_cast<std::size_t>(spacing)];
}

Spacing parse_spacing(std::string_view name) {
  for (std::size_t i = 0; i < spacing_names.size(); ++i)
    if (spacing_names[i] == name) return static_cast<Spacing>(i);
  fail("spacing: '{}' is unknown; one of {}", name, fmt::join(spacing_names, ", "));
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

namespace {

// offset + k stride for k = last..first.
std::vector<double> strided(std::int64_t T, std::int64_t stride, std::int64_t last,
                            std::int64_t first, std::int64_t offset) {
  check(offset >= 0 && last * stride + offset < T,
        "leading spacing: offset {} puts the first of {} times outside 0..{}", offset,
        last - first + 1, T - 1);
  std::vector<double> times;
  for (std::int64_t k = last; k >= first; --k)
    times.push_back(static_cast<double>(k * stride + offset));
  return times;
}

void check_multistep_count(std::string_view spacing, std::int64_t T, std::int64_t n) {
  check(n >= 1 && n < T, "{} spacing: {} steps of a schedule of {}; from 1 to {} are possible",
        spacing, n, T, T - 1);
}

}  // namespace

std::vector<double> leading_times(std::int64_t T, std::int64_t n, std::int64_t offset) {
  check_count("leading", T, n);
  return strided(T, T / n, n - 1, 0, offset);
}

std::vector<double> leading_multistep_times(std::int64_t T, std::int64_t n, std::int64_t offset) {
  check_multistep_count("leading_multistep", T, n);
  return strided(T, T / (n + 1), n, 1, offset);
}

std::vector<double> linspace_multistep_times(std::int64_t T, std::int64_t n) {
  check_multistep_count("linspace_multistep", T, n);
  std::vector<double> times;
  for (std::int64_t k = n; k >= 1; --k)
    times.push_back(std::nearbyint(static_cast<double>((T - 1) * k) / static_cast<double>(n)));
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

TimeGrid make_grid(const Path& path, std::int64_t n, const TimeGridOptions& options) {
  check_options(path, options);
  const Level last = options.end_at_first ? path.at(path.t_data()) : path.clean();
  if (is_even_in_ratio(options.spacing) || is_ays(options.spacing)) {
    TimeGrid grid = grid_of_ratios(path, ratios_of(path, n, options), last);
    if (options.round_times)
      for (std::size_t i = 0; i + 1 < grid.size(); ++i)
        grid[i].t =
            options.spacing == Spacing::karras ? std::nearbyint(grid[i].t) : std::floor(grid[i].t);
    return grid;
  }
  if (path.steps() > 0) return grid_of_times(path, times_of_table(path.steps(), n, options), last);
  check(options.spacing == Spacing::trailing,
        "{} spacing needs a table of steps; on a continuous path use trailing, karras, "
        "exponential, beta or ays_*",
        name_of(options.spacing));
  check(n >= 1, "trailing spacing: {} steps; at least 1 is needed", n);
  std::vector<double> times;
  for (std::int64_t k = 0; k < n; ++k) times.push_back(path.time_at(even_point(1, 0, k, n + 1)));
  return grid_of_times(path, times, last);
}

TimeGrid make_grid(const Path& path, std::int64_t n, Spacing spacing) {
  return make_grid(path, n, TimeGridOptions{.spacing = spacing});
}

}  // namespace ebb
