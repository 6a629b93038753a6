// The samplers of tests/golden/sigma_samplers.csv: T = 1100, linear betas, ten even times from
// 1099 to 0 with sigma linear between the table's entries, or Karras' ratios.
#pragma once

#include "tests/diffusion/samplers/scheduler_row.h"

namespace ebb::test {

// Upstream, LMS started in mid-schedule takes the weights of a full history and has a part of it.
inline Tensor lms_with_missing_history(const Sampling& s, const TimeGrid& full, std::int64_t first,
                                       Tensor x) {
  std::vector<Tensor> slopes;
  for (std::int64_t i = first; i < static_cast<std::int64_t>(full.size()) - 1; ++i) {
    std::vector<double> nodes;
    for (std::int64_t j = i; j >= std::max<std::int64_t>(0, i - 3); --j)
      nodes.push_back(full[static_cast<std::size_t>(j)].ratio());
    const Level &from = full[static_cast<std::size_t>(i)],
                &to = full[static_cast<std::size_t>(i + 1)];
    slopes.insert(slopes.begin(), s.denoiser(x, from).eps);
    const std::vector<double> c = lms_coefficients(nodes, from.ratio(), to.ratio());
    x = x * (to.alpha / from.alpha);
    for (std::size_t j = 0; j < std::min(c.size(), slopes.size()); ++j)
      add_(x, slopes[j], to.alpha * c[j]);
  }
  return x;
}

inline Tensor run_sigma(const std::string& name, Prediction prediction, bool karras,
                        std::int64_t start_index, std::int64_t n) {
  const std::vector<double> table = alphas_cumprod(linear_betas(1100));
  const Path path = Path::discrete(table),
             linear = Path::discrete(table, TableInterpolation::ratio);
  const TimeGrid grid =
      karras ? grid_of_ratios(path, karras_ratios(n, path.at(0).ratio(), path.at(1099).ratio()),
                              path.clean())
             : grid_of_times(linear, linspace_times(1100, n), path.clean());
  const bool two = name == "Heun" || name == "KDPM2" || name == "KDPM2A";
  check(!two || start_index % 2 == 0, "golden: {} cannot start at {}, between two evaluations",
        name, start_index);
  const std::int64_t first = two ? start_index / 2 : start_index;

  const Fixture fixture({4, 3, 8, 8}, DType::float64);
  const Sampling s{make_denoiser(fixture_model, prediction),
                   path,
                   TimeGrid(grid.begin() + first, grid.end()),
                   fixture.source(),
                   {}};
  Tensor x = fixture.deter * grid[0].ratio();
  if (start_index > 0) add_(x, fixture.noise, s.grid[0].ratio());
  x = x * s.grid[0].alpha;
  if (name == "Euler") return euler(s, x);
  if (name == "EulerA") return euler_ancestral(s, x);
  if (name == "Heun") return heun(s, x);
  if (name == "LMS")
    return start_index > 0 ? lms_with_missing_history(s, grid, first, x) : lms(s, x);
  if (name == "KDPM2") return kdpm2(s, x);
  if (name == "KDPM2A") return kdpm2_ancestral(s, x);
  fail("golden: no scheduler is called '{}'", name);
}

}  // namespace ebb::test
