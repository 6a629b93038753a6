// Levels against those of diffusers' schedulers (reference/make_grids.py), and options that do not
// fit.
#include <doctest/doctest.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/timesteps.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "tests/check_message.h"
#include "tests/paths.h"

namespace ebb::test {
namespace {

std::vector<double> numbers(const std::string& text) {
  std::istringstream in(text);
  std::vector<double> values;
  for (double v; in >> v;) values.push_back(v);
  return values;
}

TEST_CASE("grids have the levels of diffusers' schedulers") {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(1000)));
  const Path wide = Path::edm(0.002, 700);
  std::ifstream file(source_folder() + "/tests/diffusion/schedules/reference/grids.csv");
  std::string line;
  std::getline(file, line);
  int rows = 0;
  for (; std::getline(file, line); ++rows) {
    CAPTURE(line);
    std::istringstream fields(line);
    std::string name, steps, times, ratios;
    std::getline(fields, name, ',');
    std::getline(fields, steps, ',');
    std::getline(fields, times, ',');
    std::getline(fields, ratios);
    const std::string kind = name.substr(0, name.find(' '));
    TimeGrid grid, unrounded;
    if (kind == "flow") {
      const bool dynamic = name.find("dynamic") != std::string::npos;
      const Path flow =
          Path::flow(dynamic ? dynamic_shift(1024) : numbers(name.substr(11))[0], 1000);
      for (const double u : numbers(name.substr(name.find(" of ") + 4)))
        grid.push_back(flow.at(flow.time_at(u)));
      grid.push_back(flow.clean());
    } else {
      TimeGridOptions options{.spacing = parse_spacing(kind)};
      if (name.find("offset 1") != std::string::npos) options.steps_offset = 1;
      options.round_times = name.find("rounded") != std::string::npos;
      grid = make_grid(kind.starts_with("ays") ? wide : path, std::stol(steps), options);
      options.round_times = false;
      unrounded = make_grid(kind.starts_with("ays") ? wide : path, std::stol(steps), options);
    }
    const std::vector<double> t = numbers(times), s = numbers(ratios);
    REQUIRE(s.size() + 1 == grid.size());
    for (std::size_t i = 0; i < s.size(); ++i) {
      // diffusers' float32 sigmas move times by up to 0.008, so one nearly whole is cut to either.
      const double real = unrounded.empty() ? grid[i].t : unrounded[i].t;
      const bool cut = kind == "exponential" || kind == "beta";
      const bool whole = cut && std::abs(real - std::nearbyint(real)) < 1e-2;
      if (whole)
        CHECK(std::abs(grid[i].t - t[i]) <= 1);
      else if (!t.empty())
        CHECK(grid[i].t == doctest::Approx(t[i]).epsilon(2e-6));
      if (s[i] < 1e8) CHECK(grid[i].ratio() == doctest::Approx(s[i]).epsilon(1e-4));
    }
    CHECK(grid.back().sigma == 0);
  }
  CHECK(rows == 20);
}

TEST_CASE("Align Your Steps at other counts is linear in log s") {
  const std::vector<double> twenty = ays_ratios(20, Spacing::ays_sd);
  CHECK(twenty[0] == doctest::Approx(14.615));
  CHECK(twenty[1] == doctest::Approx(std::sqrt(14.615 * 6.475)).epsilon(1e-12));
  CHECK(twenty[19] == doctest::Approx(std::sqrt(0.152 * 0.029)).epsilon(1e-12));
  // A path that ends below the table starts at its own end.
  const Path path = Path::discrete(alphas_cumprod_named("scaled_linear", 1000));
  CHECK(make_grid(path, 10, Spacing::ays_svd)[0].ratio() ==
        doctest::Approx(path.at(999).ratio()).epsilon(1e-12));
}

TEST_CASE("grid options: ends that are asked for, options that do not fit are errors") {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(1000)));
  for (const Spacing spacing : {Spacing::karras, Spacing::exponential, Spacing::beta}) {
    const TimeGrid grid =
        make_grid(path, 8, {.spacing = spacing, .sigma_min = 0.1, .sigma_max = 20});
    CHECK(grid[0].ratio() == doctest::Approx(20).epsilon(1e-12));
    CHECK(grid[7].ratio() == doctest::Approx(0.1).epsilon(1e-12));
  }
  const TimeGrid first = make_grid(path, 4, {.end_at_first = true});
  CHECK(first.back().alpha == doctest::Approx(std::sqrt(1 - 1e-4)).epsilon(1e-12));
  CHECK(make_grid(path, 4, {.spacing = Spacing::leading, .steps_offset = 1})[0].t == 751);
  const auto error = [&](const TimeGridOptions& options, const char* text) {
    check_message([&] { make_grid(path, 8, options); }, text);
  };
  error({.steps_offset = 1}, "trailing spacing: takes no steps offset");
  error({.sigma_min = 0.1}, "takes no sigma_min and sigma_max");
  error({.spacing = Spacing::karras, .sigma_max = 1000}, "of 1000 is outside the path's");
  error({.spacing = Spacing::karras, .sigma_min = 0.001}, "of 0.001 is outside the path's");
  error({.spacing = Spacing::karras, .sigma_min = NAN}, "of nan is outside the path's");
  error({.spacing = Spacing::beta, .sigma_min = 3, .sigma_max = 1}, "needs 0 < low <= high");
  error({.round_times = true}, "rounded times are for");
  check_message(
      [&] { make_grid(Path::edm(), 8, {.spacing = Spacing::karras, .round_times = true}); },
      "rounded times are for");
  check_message([&] { make_grid(Path::flow(), 8, Spacing::linspace_multistep); },
                "needs a table of steps");
  check_message([&] { make_grid(path, 1000, Spacing::linspace_multistep); }, "from 1 to 999");
}

}  // namespace
}  // namespace ebb::test
