#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>

namespace ebb {

Tensor Sampling::draw(std::string_view sampler, const Tensor& like, std::int64_t draw) const {
  check(static_cast<bool>(noise), "{}: adds noise, but the sampling has no source of it; set noise",
        sampler);
  return noise(like, draw);
}

void Sampling::observe(std::int64_t step, const Tensor& x, const Tensor& x0) const {
  if (observer) observer({step, steps(), grid[static_cast<std::size_t>(step + 1)], x, x0});
}

Tensor start_noise(const Level& first, const Shape& shape, std::uint64_t seed,
                   std::int64_t first_sample) {
  const PhiloxAddress address{seed, Purpose::start, 0, static_cast<std::uint64_t>(first_sample)};
  return philox_normal(shape, address) * first.size();
}

Tensor start_noise(const Path& path, const Shape& shape, std::uint64_t seed,
                   std::int64_t first_sample) {
  return start_noise(path.at(path.t_noise()), shape, seed, first_sample);
}

namespace {

// alpha_t / alpha_s; from pure noise to pure noise x is not scaled.
double alpha_ratio(const Level& t, const Level& s) {
  return t.alpha == s.alpha ? 1 : t.alpha / s.alpha;
}

}  // namespace

double transition_variance(const Level& t, const Level& s) {
  const double ratio = alpha_ratio(t, s);
  return std::max(0.0, t.sigma * t.sigma - ratio * ratio * s.sigma * s.sigma);
}

Posterior posterior(const Level& t, const Level& s) {
  const double variance_t = t.sigma * t.sigma, between = transition_variance(t, s);
  if (variance_t == 0) return {1, 0, 0};
  return {alpha_ratio(t, s) * s.sigma * s.sigma / variance_t, s.alpha * between / variance_t,
          between * s.sigma * s.sigma / variance_t};
}

double unit_posterior_variance(const Level& t, const Level& s) {
  const double ratio = alpha_ratio(t, s);
  const double at_t = t.alpha * t.alpha + t.sigma * t.sigma;
  const double at_s = s.alpha * s.alpha + s.sigma * s.sigma;
  return std::max(0.0, at_s - ratio * ratio * at_s * at_s / at_t);
}

Tensor move(const Tensor& x, const Level& from, const Level& to, const Tensor& slope) {
  return axpby(to.alpha / from.alpha, x, to.sigma - to.alpha * from.ratio(), slope);
}

std::int64_t leave_pure_noise(const Sampling& s, Tensor& x, double largest_fall) {
  const auto falls_far = [&](const Level& from, const Level& to) {
    return from.ratio() > largest_fall && from.ratio() > largest_fall * to.ratio();
  };
  std::int64_t i = 0;
  for (; i < s.steps() && (s.grid[i].alpha == 0 || falls_far(s.grid[i], s.grid[i + 1])); ++i) {
    const Estimate e = s.denoiser(x, s.grid[i]);
    x = axpby(s.grid[i + 1].alpha, e.x0, s.grid[i + 1].sigma, e.eps);
    s.observe(i, x, e.x0);
  }
  return i;
}

void push_history(std::vector<HistoryEntry>& history, double at, const Tensor& value, int order) {
  std::erase_if(history, [&](const HistoryEntry& k) { return k.at == at; });
  history.insert(history.begin(), {at, value});
  if (history.size() > static_cast<std::size_t>(order)) history.pop_back();
}

}  // namespace ebb
