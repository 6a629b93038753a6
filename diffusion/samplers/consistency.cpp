#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {

Tensor consistency(const Sampling& s, Tensor x, double s_min) {
  check(s_min >= 0, "consistency: s_min = {}; it must be at least 0", s_min);
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level& to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, s.grid[i]);
    x = e.x0;
    if (i + 1 < s.steps()) {
      const double sigma =
          std::sqrt(std::max(0.0, to.sigma * to.sigma - to.alpha * to.alpha * s_min * s_min));
      x = axpby(to.alpha, x, sigma, s.draw("consistency", x, i));
    }
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor lcm(const Sampling& s, Tensor x, const LcmOptions& options) {
  const double d = options.sigma_data;
  check(d > 0, "lcm: sigma_data = {}; it must be positive", d);
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const double u = options.time_scale * (from.t - s.path.t_data()), total = std::hypot(u, d);
    x = axpby(d * d / (total * total), x, u / total, e.x0);
    if (i + 1 < s.steps()) x = axpby(to.alpha, x, to.sigma, s.draw("lcm", x, i));
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor tcd(const Sampling& s, Tensor x, double eta) {
  check(eta >= 0 && eta <= 1, "tcd: eta = {}; it must be in [0, 1]", eta);
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const bool last = i + 1 == s.steps();
    Level below = to;
    if (eta > 0 && !last) {
      const double data = s.path.t_data(), t = std::max(data + (1 - eta) * (to.t - data), data);
      below = s.path.at(s.path.steps() > 0 ? std::floor(t) : t);
    }
    x = axpby(below.alpha, e.x0, below.sigma, e.eps);
    if (eta > 0 && !last)
      x = axpby(to.alpha / below.alpha, x, std::sqrt(transition_variance(to, below)),
                s.draw("tcd", x, i));
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
