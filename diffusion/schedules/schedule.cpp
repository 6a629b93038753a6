#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/error.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb {
namespace {

void check_steps(std::string_view schedule, std::int64_t T) {
  check(T >= 1, "{} schedule: T = {} steps; at least 1 is needed", schedule, T);
}

void check_endpoints(std::string_view schedule, std::int64_t T, double start, double end) {
  check_steps(schedule, T);
  check(start > 0 && start < 1 && end > 0 && end < 1,
        "{} schedule: betas from {} to {}; both must lie between 0 and 1", schedule, start, end);
}

template <class F>
std::vector<double> table(std::int64_t T, F&& f) {
  std::vector<double> values(static_cast<std::size_t>(T));
  for (std::int64_t t = 0; t < T; ++t) values[static_cast<std::size_t>(t)] = f(t);
  return values;
}

double sigmoid(double u) { return 1 / (1 + std::exp(-u)); }

}  // namespace

double even_point(double a, double b, std::int64_t i, std::int64_t n) {
  return n == 1 ? a : a + (b - a) * static_cast<double>(i) / static_cast<double>(n - 1);
}

std::vector<double> linear_betas(std::int64_t T, double start, double end) {
  check_endpoints("linear", T, start, end);
  return table(T, [&](std::int64_t t) { return even_point(start, end, t, T); });
}

double scale_endpoint(double beta, std::int64_t T) {
  check_steps("scaled", T);
  const double scaled = beta * 1000 / static_cast<double>(T);
  check(scaled > 0 && scaled < 1,
        "linear schedule: beta {} scaled to T = {} is {}, not below 1; use more steps or cosine",
        beta, T, scaled);
  return scaled;
}

std::vector<double> quadratic_betas(std::int64_t T, double start, double end) {
  check_endpoints("quadratic", T, start, end);
  return table(T, [&](std::int64_t t) {
    const double root = even_point(std::sqrt(start), std::sqrt(end), t, T);
    return root * root;
  });
}

std::vector<double> sigmoid_betas(std::int64_t T, double start, double end) {
  check_endpoints("sigmoid", T, start, end);
  return table(
      T, [&](std::int64_t t) { return start + (end - start) * sigmoid(even_point(-6, 6, t, T)); });
}

std::vector<double> betas_of_alpha_bar(std::int64_t T, const std::function<double(double)>& f,
                                       double cap, double floor) {
  check_steps("alpha_bar", T);
  check(floor >= 0 && floor <= cap && cap <= 1,
        "alpha_bar schedule: floor {} and cap {}; needs 0 <= floor <= cap <= 1", floor, cap);
  const double n = static_cast<double>(T);
  return table(T, [&](std::int64_t t) {
    const double beta = 1 - f(static_cast<double>(t + 1) / n) / f(static_cast<double>(t) / n);
    return std::clamp(beta, floor, cap);
  });
}

std::vector<double> cosine_betas(std::int64_t T, double s, double cap, double floor) {
  return betas_of_alpha_bar(
      T,
      [s](double u) {
        const double c = std::cos((u + s) / (1 + s) * std::numbers::pi / 2);
        return c * c;
      },
      cap, floor);
}

std::vector<double> sigmoid_alpha_bar_betas(std::int64_t T, double start, double end, double tau,
                                            double cap) {
  check(start < end && tau > 0,
        "sigmoid schedule: start {} must be below end {}, and tau {} above 0", start, end, tau);
  const double first = sigmoid(start / tau), last = sigmoid(end / tau);
  return betas_of_alpha_bar(
      T,
      [=](double u) {
        return (last - sigmoid((start + u * (end - start)) / tau)) / (last - first);
      },
      cap);
}

std::vector<double> exponential_betas(std::int64_t T, double rate, double cap) {
  check(rate > 0, "exponential schedule: rate {} must be positive", rate);
  return betas_of_alpha_bar(
      T, [rate](double u) { return std::exp(-rate * u); }, cap);
}

std::vector<double> laplace_betas(std::int64_t T, double mu, double b, double cap) {
  check(b > 0, "laplace schedule: width b = {} must be positive", b);
  return betas_of_alpha_bar(
      T,
      [=](double u) {
        const double away = 1 - 2 * std::abs(u - 0.5);
        if (away <= 0) return u < 0.5 ? 1.0 : 0.0;
        return sigmoid(mu - std::copysign(b, 0.5 - u) * std::log(away));
      },
      cap);
}

std::vector<double> alphas_cumprod(const std::vector<double>& betas) {
  std::vector<double> result;
  double product = 1;
  for (const double beta : betas) result.push_back(product *= 1 - beta);
  return result;
}

std::vector<double> betas_of_alphas_cumprod(const std::vector<double>& alphas_cumprod) {
  std::vector<double> result;
  double before = 1;
  for (const double now : alphas_cumprod) {
    result.push_back(1 - now / before);
    before = now;
  }
  return result;
}

std::vector<double> zero_terminal_snr(const std::vector<double>& alphas_cumprod) {
  check(alphas_cumprod.size() >= 2, "zero_terminal_snr: {} steps; at least 2 are needed",
        alphas_cumprod.size());
  const double first = std::sqrt(alphas_cumprod.front()), last = std::sqrt(alphas_cumprod.back());
  std::vector<double> result;
  for (const double a : alphas_cumprod) {
    const double root = (std::sqrt(a) - last) * first / (first - last);
    result.push_back(root * root);
  }
  return result;
}

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names{"linear",       "linear_unscaled", "scaled_linear",
                                              "quadratic",    "cosine",          "sigmoid",
                                              "sigmoid_beta", "exponential",     "laplace"};
  return names;
}

std::vector<double> alphas_cumprod_named(std::string_view name, std::int64_t T) {
  const auto scaled = [T](double beta) { return scale_endpoint(beta, T); };
  if (name == "linear") return alphas_cumprod(linear_betas(T, scaled(1e-4), scaled(0.02)));
  if (name == "linear_unscaled") return alphas_cumprod(linear_betas(T));
  if (name == "scaled_linear")
    return alphas_cumprod(quadratic_betas(T, scaled(0.00085), scaled(0.012)));
  if (name == "quadratic") return alphas_cumprod(quadratic_betas(T, scaled(1e-4), scaled(0.02)));
  if (name == "cosine") return alphas_cumprod(cosine_betas(T));
  if (name == "sigmoid") return alphas_cumprod(sigmoid_alpha_bar_betas(T));
  if (name == "sigmoid_beta") return alphas_cumprod(sigmoid_betas(T, scaled(1e-4), scaled(0.02)));
  if (name == "exponential") return alphas_cumprod(exponential_betas(T));
  if (name == "laplace") return alphas_cumprod(laplace_betas(T));
  fail("schedule: '{}' is unknown; one of {}", name, fmt::join(schedule_names(), ", "));
}

}  // namespace ebb
