#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/timesteps.h>
#include <ebb/tensor/error.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ebb {
namespace {

// Sabour et al. 2024: sigma / alpha of ten steps and the least noise that the search allowed.
constexpr std::array<double, 11> sd{14.615, 6.475, 3.861, 2.697, 1.886, 1.396,
                                    0.963,  0.652, 0.399, 0.152, 0.029};
constexpr std::array<double, 11> sdxl{14.615, 6.315, 3.771, 2.181, 1.342, 0.862,
                                      0.555,  0.380, 0.234, 0.113, 0.029};
constexpr std::array<double, 11> svd{700.00, 54.5,  15.886, 7.977, 4.248, 1.789,
                                     0.981,  0.403, 0.173,  0.034, 0.002};

// The regularised incomplete beta function by its continued fraction (Abramowitz & Stegun 1964,
// 26.5.8), which converges fast below the mean; above it the mirrored one serves.
double beta_below(double x, double a, double b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta_below(1 - x, b, a);
  double tail = 1;
  for (int m = 60; m >= 1; --m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    tail = 1 + even / (1 + odd / tail);
  }
  const double first = 1 - (a + b) * x / ((a + 1) * tail);
  return std::pow(x, a) * std::pow(1 - x, b) / (a * std::beta(a, b) * first);
}

double beta_quantile(double p, double a, double b) {
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (beta_below(middle, a, b) < p ? low : high) = middle;
  }
  return p == 0 ? 0 : p == 1 ? 1 : (low + high) / 2;
}

}  // namespace

std::vector<double> beta_ratios(std::int64_t n, double low, double high, double a, double b) {
  check(n >= 1, "beta spacing: {} steps; at least 1 is needed", n);
  check(low > 0 && low <= high && std::isfinite(high),
        "beta spacing: sigma / alpha from {} down to {}; needs 0 < low <= high", high, low);
  check(a > 0 && b > 0 && std::isfinite(a) && std::isfinite(b),
        "beta spacing: a = {}, b = {}; both must be positive", a, b);
  std::vector<double> ratios;
  for (std::int64_t k = 0; k < n; ++k)
    ratios.push_back(std::lerp(low, high, beta_quantile(even_point(1, 0, k, n), a, b)));
  return ratios;
}

std::vector<double> ays_ratios(std::int64_t n, Spacing spacing) {
  check(n >= 1, "{} spacing: {} steps; at least 1 is needed", name_of(spacing), n);
  check(spacing >= Spacing::ays_sd, "ays_ratios: {} is none of ays_sd, ays_sdxl and ays_svd",
        name_of(spacing));
  const std::array<double, 11>& table = spacing == Spacing::ays_sd     ? sd
                                        : spacing == Spacing::ays_sdxl ? sdxl
                                                                       : svd;
  std::vector<double> ratios;
  for (std::int64_t k = 0; k < n; ++k) {
    const double at = 10 * static_cast<double>(k) / static_cast<double>(n);
    const std::size_t i = std::min(static_cast<std::size_t>(at), table.size() - 2);
    const double w = at - static_cast<double>(i);
    ratios.push_back(std::exp(std::lerp(std::log(table[i]), std::log(table[i + 1]), w)));
  }
  return ratios;
}

}  // namespace ebb
