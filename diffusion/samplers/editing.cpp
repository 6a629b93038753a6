#include <ebb/diffusion/samplers/editing.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <cmath>

namespace ebb {

Tensor slerp(const Tensor& a, const Tensor& b, double u) {
  check(u >= 0 && u <= 1, "slerp: u = {}; it must be in [0, 1]", u);
  check(a.shape() == b.shape() && a.rank() >= 1, "slerp: latents {} and {} must have one shape",
        a.shape(), b.shape());
  const auto dots = [](const Tensor& x, const Tensor& y) {
    const std::vector<std::int64_t> rows{x.size(0), -1};
    return sum((x * y).to(DType::float64).reshape(rows), {1}).to_vector<double>();
  };
  const std::vector<double> aa = dots(a, a), bb = dots(b, b), ab = dots(a, b);
  std::vector<double> by_a, by_b;
  for (std::size_t n = 0; n < ab.size(); ++n) {
    const double cosine = std::clamp(ab[n] / std::sqrt(aa[n] * bb[n]), -1.0, 1.0);
    const double angle = std::acos(cosine), sine = std::sin(angle);
    const bool straight = !(sine > 1e-6);
    by_a.push_back(straight ? 1 - u : std::sin((1 - u) * angle) / sine);
    by_b.push_back(straight ? u : std::sin(u * angle) / sine);
  }
  return mix(by_a, a, by_b, b);
}

TimeGrid tail_of(const TimeGrid& grid, double strength) {
  check(strength > 0 && strength <= 1, "image-to-image: strength {}; it must be in (0, 1]",
        strength);
  const auto steps = static_cast<std::int64_t>(grid.size()) - 1;
  const auto kept = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::lround(strength * static_cast<double>(steps))));
  return {grid.end() - kept - 1, grid.end()};
}

Tensor noised_to(const Level& level, const Tensor& x0, const Tensor& z) {
  return axpby(level.alpha, x0, level.sigma, z);
}

Tensor repaint(const Sampling& s, Tensor x, const Tensor& known, const Tensor& mask,
               const RepaintOptions& options) {
  check(options.resample >= 1 && options.jump >= 1,
        "repaint: {} passes over blocks of {} steps; both must be at least 1", options.resample,
        options.jump);
  check(known.shape() == x.shape(), "repaint: the known image is {} but x {}", known.shape(),
        x.shape());
  std::int64_t draws = 0;
  const auto step = [&](std::int64_t i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    const Posterior q = posterior(from, to);
    x = axpby(q.x, x, q.x0, e.x0);
    Tensor given = known;
    if (to.sigma > 0) {
      add_(x, s.draw("repaint", x, draws++), std::sqrt(q.variance));
      given = noised_to(to, known, s.draw("repaint", x, draws++));
    }
    x = where(broadcast_to(mask, x.shape()), given, x);
    return e.x0;
  };
  for (std::int64_t i = 0; i < s.steps(); i += options.jump) {
    const std::int64_t end = std::min(i + options.jump, s.steps());
    // Nothing is drawn again from clean data.
    const std::int64_t passes = s.grid[end].sigma > 0 ? options.resample : 1;
    Tensor x0;
    for (std::int64_t pass = 0; pass < passes; ++pass) {
      if (pass > 0) {
        const Level &low = s.grid[end], &high = s.grid[i];
        x = axpby(high.alpha / low.alpha, x, std::sqrt(transition_variance(high, low)),
                  s.draw("repaint", x, draws++));
      }
      for (std::int64_t j = i; j < end; ++j) x0 = step(j);
    }
    s.observe(end - 1, x, x0);
  }
  return x;
}

Observer Trajectory::recorder(Observer then) {
  return [this, then = std::move(then)](const StepView& view) {
    x.push_back(view.x.clone());
    x0.push_back(view.x0.clone());
    levels.push_back(view.level);
    if (then) then(view);
  };
}

TimeGrid inverted(const TimeGrid& grid) { return {grid.rbegin(), grid.rend()}; }

}  // namespace ebb
