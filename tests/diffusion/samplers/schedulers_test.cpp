// Every row of tests/golden/schedulers.csv: sums that diffusers' own scheduler tests assert. Where
// a scheduler there steps between other levels than its own times (a previous step that is not the
// next time), each step is run as a grid of two levels.
#include "tests/diffusion/samplers/scheduler_times.h"
#include "tests/diffusion/samplers/sigma_rows.h"
#include "tests/golden.h"

namespace ebb::test {
namespace {

struct Run {
  std::string scheduler, test;
  Config config;
  std::int64_t T, n, k;
  bool all_steps;             // no set_timesteps: T - 1, ..., 0
  std::vector<double> times;  // an explicit list, else empty
  Fixture fixture;

  explicit Run(const CsvRow& row)
      : scheduler(row.at("scheduler")),
        test(row.at("test")),
        config(row.at("config_delta")),
        fixture(test.find("1d") == std::string::npos ? Shape{4, 3, 8, 8} : Shape{4, 3, 8}) {
    const std::string& steps = row.at("steps");
    times = numbers_in(config.text("timesteps", ""));
    if (steps.starts_with("[")) times = numbers_in(steps.substr(0, steps.find(']')));
    n = times.empty() ? std::stoll(steps) : static_cast<std::int64_t>(times.size());
    all_steps = steps.find("no set_timesteps") != std::string::npos;
    k = std::stoll(row.at("k"));
    T = static_cast<std::int64_t>(config.number("T", scheduler == "CM" ? 201 : 1000));
  }

  bool noised() const { return k > 0 && test.find("uneven") == std::string::npos; }
  Predictor model() const { return fixture_model; }
  Prediction prediction() { return prediction_named(config.text("prediction", "epsilon")); }
  // x at `level`, the first that is visited: the plain fixture, or the fixture noised to it.
  Tensor start(const Level& level) const {
    return noised() ? axpby(level.alpha, fixture.deter, level.sigma, fixture.noise) : fixture.deter;
  }
  Sampling sampling(Denoiser denoiser, const Path& path, TimeGrid grid) const {
    return {std::move(denoiser), path, std::move(grid), fixture.source(), {}};
  }
};

TimeGrid from(const TimeGrid& grid, std::int64_t k) { return {grid.begin() + k, grid.end()}; }

Tensor run_ddpm(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  const Denoiser denoiser =
      make_denoiser(r.model(), r.prediction(), {clip_of(r.config, true), false});
  std::vector<double> times = r.times;
  if (times.empty()) times = plain_times(r.config, r.T, r.all_steps ? r.T : r.n);
  const auto stride = static_cast<double>(r.T / (r.all_steps ? r.T : r.n));
  const std::string kind = r.config.text("variance_type", "fixed_small");
  check(kind == "fixed_small" || kind == "fixed_small_log" || kind == "fixed_large",
        "golden: no variance is called '{}'", kind);
  const DdpmVariance variance = kind == "fixed_large" ? DdpmVariance::large : DdpmVariance::small;
  Tensor x = r.start(path.at(times[static_cast<std::size_t>(r.k)]));
  for (std::size_t i = static_cast<std::size_t>(r.k); i < times.size(); ++i) {
    const double before = r.times.empty()        ? times[i] - stride
                          : i + 1 < times.size() ? times[i + 1]
                                                 : -1;
    x = ddpm(r.sampling(denoiser, path, {path.at(times[i]), path.at(std::max(before, -1.0))}), x,
             variance);
  }
  return x;
}

Tensor run_ddim(Run& r, bool inverse) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  Clip clip = clip_of(r.config, true);
  clip.rederive_epsilon = r.config.flag("use_clipped_model_output", false);
  const Denoiser denoiser = make_denoiser(r.model(), r.prediction(), {clip, false});
  const double eta = r.config.number("eta", 0);
  const Level last = r.config.flag("set_alpha_to_one", true) ? path.clean() : path.at(0);
  const auto stride = static_cast<double>(r.T / r.n);
  const auto level = [&](double t) { return t < 0 ? last : path.at(t); };
  std::vector<double> times = plain_times(r.config, r.T, r.n);
  if (inverse) std::reverse(times.begin(), times.end());
  Tensor x = r.start(path.at(times[static_cast<std::size_t>(r.k)]));
  for (std::size_t i = static_cast<std::size_t>(r.k); i < times.size(); ++i) {
    const double t = times[i];
    if (inverse) {
      const Level source = level(std::min(t - stride, static_cast<double>(r.T - 1)));
      x = ddim_inversion(r.sampling(denoiser, path, {source, path.at(t)}), x);
    } else {
      x = ddim(r.sampling(denoiser, path, {path.at(t), level(t - stride)}), x, eta);
    }
  }
  return x;
}

Tensor run_pndm(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  const Prediction prediction = r.prediction();
  const bool skip = r.config.flag("skip_prk_steps", false);
  const Level last = r.config.flag("set_alpha_to_one", false) ? path.clean() : path.at(0);
  const TimeGrid grid = grid_of_times(path, plain_times(r.config, r.T, r.n), last);
  // There the raw outputs are combined, and the combination is read at the level the step starts.
  const Denoiser raw = [&](const Tensor& x, const Level& level) {
    return Estimate{x, r.model()(x, level), {}};
  };
  const Transfer transfer = [&](const Tensor& x, const Level& a, const Level& b, const Tensor& e) {
    return move(x, a, b, x0_eps_of(prediction, x, e, a).eps);
  };
  return pndm(r.sampling(raw, path, from(grid, r.k)), r.start(grid[static_cast<std::size_t>(r.k)]),
              skip ? PndmStart::improved_euler : PndmStart::runge_kutta, transfer);
}

DpmOptions dpm_options(Run& r) {
  DpmOptions options;
  options.order = static_cast<int>(r.config.number("solver_order", 2));
  const std::string solver = r.config.text("solver_type", "midpoint");
  check(solver == "midpoint" || solver == "heun", "golden: no DPM solver is called '{}'", solver);
  options.variant = solver == "heun" ? DpmVariant::heun : DpmVariant::midpoint;
  const std::string algorithm = r.config.text("algorithm_type", "dpmsolver++");
  check(algorithm == "dpmsolver++" || algorithm == "sde-dpmsolver++",
        "golden: no DPM algorithm is called '{}'", algorithm);
  options.stochastic = algorithm == "sde-dpmsolver++";
  const bool lower = r.config.flag("lower_order_final", false);
  options.lower_order_final = r.config.flag("euler_at_final", false) || (lower && r.n < 15);
  return options;
}

Tensor run_dpm(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  const Denoiser denoiser =
      make_denoiser(r.model(), r.prediction(), {clip_of(r.config, false), false});
  const DpmOptions options = dpm_options(r);
  const bool inverse = r.scheduler == "DPMMultiInverse";
  const TimeGrid grid =
      inverse ? inverse_multistep_grid(r.config, path, r.n) : multistep_grid(r.config, path, r.n);
  Tensor x = r.start(grid[static_cast<std::size_t>(r.k)]);
  if (r.scheduler != "DPMSingle" || options.order == 1)
    return dpm_solver_multistep(r.sampling(denoiser, path, from(grid, r.k)), x, options);
  // Pairs are counted from the schedule's start: from an odd k the first step stands alone.
  std::int64_t k = r.k;
  if (k % 2 == 1) {
    x = dpm_solver_singlestep(
        r.sampling(denoiser, path,
                   {grid[static_cast<std::size_t>(k)], grid[static_cast<std::size_t>(k + 1)]}),
        x, options.variant);
    ++k;
  }
  return dpm_solver_singlestep(r.sampling(denoiser, path, from(grid, k)), x, options.variant);
}

Tensor run_unipc(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  const Denoiser denoiser =
      make_denoiser(r.model(), r.prediction(), {clip_of(r.config, false), false});
  UnipcOptions options;
  options.order = static_cast<int>(r.config.number("solver_order", 2));
  const std::string solver = r.config.text("solver_type", "bh2");
  check(solver == "bh1" || solver == "bh2", "golden: no UniPC solver is called '{}'", solver);
  options.bh2 = solver == "bh2";
  options.lower_order_final = r.config.flag("lower_order_final", true);
  check(r.config.flag("predict_x0", true), "golden: UniPC is known with predict_x0 alone");
  const TimeGrid grid = multistep_grid(r.config, path, r.n);
  return unipc(r.sampling(denoiser, path, from(grid, r.k)),
               r.start(grid[static_cast<std::size_t>(r.k)]), options);
}

Tensor run_deis(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T));
  Clip clip = clip_of(r.config, false);
  clip.rederive_epsilon = true;
  const Denoiser denoiser = make_denoiser(r.model(), r.prediction(), {clip, false});
  DeisOptions options;
  options.order = static_cast<int>(r.config.number("solver_order", 2));
  const std::string solver = r.config.text("solver_type", "logrho");
  check(solver == "logrho", "golden: no DEIS solver is called '{}'", solver);
  options.lower_order_final = r.config.flag("lower_order_final", true) && r.n < 15;
  const TimeGrid grid = multistep_grid(r.config, path, r.n);
  return deis(r.sampling(denoiser, path, from(grid, r.k)),
              r.start(grid[static_cast<std::size_t>(r.k)]), options);
}

// Distilled models visit n of the `original` times that they were trained on.
std::vector<double> distilled_times(Run& r) {
  if (!r.times.empty()) return r.times;
  const auto original = static_cast<std::int64_t>(r.config.number("original_inference_steps", 50));
  const std::int64_t stride = r.T / original;
  std::vector<double> times;
  for (std::int64_t i = 0; i < r.n; ++i)
    times.push_back(static_cast<double>((original - i * original / r.n) * stride - 1));
  return times;
}

Tensor run_distilled(Run& r) {
  const Path path = Path::discrete(alpha_bar_of(r.config, r.T, "scaled_linear", 0.00085, 0.012));
  const Denoiser denoiser =
      make_denoiser(r.model(), r.prediction(), {clip_of(r.config, false), false});
  const bool one = r.config.flag("set_alpha_to_one", true);
  const bool is_lcm = r.scheduler == "LCM";
  const TimeGrid grid =
      grid_of_times(path, distilled_times(r), is_lcm && one ? path.clean() : path.at(0));
  const Sampling s = r.sampling(denoiser, path, from(grid, r.k));
  const Tensor x = r.start(s.grid[0]);
  return is_lcm ? lcm(s, x, {0.5, r.config.number("timestep_scaling", 10)})
                : tcd(s, x, r.config.number("eta", 0.3));
}

Tensor run_consistency(Run& r) {
  const double low = r.config.number("sigma_min", 0.002), high = r.config.number("sigma_max", 80);
  std::vector<double> times = r.times;
  if (times.empty()) times = leading_times(r.T, r.n);
  TimeGrid grid;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double ramp = times[times.size() - 1 - i] / static_cast<double>(r.T - 1);
    const double root = std::pow(high, 1.0 / 7);
    const double s = std::pow(root + ramp * (std::pow(low, 1.0 / 7) - root), 7);
    grid.push_back({250 * std::log(s), 1, s});
  }
  grid.push_back({0, 1, low});
  Clip clip = clip_of(r.config, true);
  const Denoiser denoiser = consistency_denoiser(r.model(), 0.5, low, clip);
  Tensor x = r.fixture.deter * high;
  if (r.noised()) add_(x, r.fixture.noise, grid[static_cast<std::size_t>(r.k)].sigma);
  return consistency(r.sampling(denoiser, Path::edm(low, high), from(grid, r.k)), x, low);
}

// v there means -c_out; EDM-DPM is shown x itself where EDM-Euler is shown c_in x.
Tensor run_edm(Run& r) {
  const double low = r.config.number("sigma_min", 0.002), high = r.config.number("sigma_max", 80);
  const double data = r.config.number("sigma_data", 0.5);
  const bool dpm = r.scheduler == "EDMDPM", v = r.prediction() == Prediction::v;
  const std::string schedule = r.config.text("sigma_schedule", "karras");
  check(schedule == "karras" || schedule == "exponential", "golden: no sigmas are called '{}'",
        schedule);
  const Path path = Path::edm(low, high);
  const std::string end = r.config.text("final_sigmas_type", dpm ? "sigma_min" : "zero");
  const TimeGrid grid = grid_of_ratios(
      path,
      schedule == "karras" ? karras_ratios(r.n, low, high) : exponential_ratios(r.n, low, high),
      end == "zero" ? path.clean() : path.at_ratio(low));
  const Denoiser denoiser = [&, data, dpm, v, clip = clip_of(r.config, false)](const Tensor& x,
                                                                               const Level& level) {
    const double shown = dpm ? 1 / edm_coefficients(level.sigma, data).in : 1;
    const Predictor model = [&](const Tensor& input, const Level& at) {
      return fixture_model(input * shown, at) * (v ? -1.0 : 1.0);
    };
    return edm_denoiser(model, data, clip)(x, level);
  };
  const Sampling s = r.sampling(denoiser, path, from(grid, r.k));
  Tensor x = r.fixture.deter * (dpm ? 1 : std::hypot(high, 1));
  if (r.noised()) add_(x, r.fixture.noise, s.grid[0].sigma);
  return dpm ? dpm_solver_multistep(s, x, dpm_options(r)) : euler(s, x);
}

Tensor run_row(Run& r) {
  const std::string& name = r.scheduler;
  if (name == "DDPM" || name == "DDPMParallel") return run_ddpm(r);
  if (name == "DDIM" || name == "DDIMParallel") return run_ddim(r, false);
  if (name == "DDIMInverse") return run_ddim(r, true);
  if (name == "PNDM") return run_pndm(r);
  if (name == "DPMMulti" || name == "DPMSingle" || name == "DPMMultiInverse") return run_dpm(r);
  if (name == "UniPC" || name == "UniPC1D") return run_unipc(r);
  if (name == "DEIS") return run_deis(r);
  if (name == "LCM" || name == "TCD") return run_distilled(r);
  if (name == "CM") return run_consistency(r);
  if (name == "EDMEuler" || name == "EDMDPM") return run_edm(r);
  const std::string karras = r.config.text("use_karras_sigmas", "0");
  return run_sigma(name, r.prediction(), karras == "true" || karras == "1", r.k, r.n);
}

void check_sum(const std::string& what, double actual, const std::string& expected,
               const std::string& tolerance) {
  if (expected == "-" || expected.empty()) return;
  const double value = std::stod(expected);
  // The reference adds in float32: large sums are a few of its units away from the exact one.
  const double allowed = std::max(std::stod(tolerance), 2e-6 * std::abs(value));
  CHECK_MESSAGE(std::abs(actual - value) <= allowed,
                what << ": " << actual << " where " << value << " is expected");
}

void check_rows(const std::string& file) {
  for (const CsvRow& row : read_csv(file)) {
    const std::string what = row.at("scheduler") + " " + row.at("test") + " [" +
                             row.at("config_delta") + "] " + row.at("steps");
    try {
      Run run(row);
      const Tensor x = run_row(run).to(DType::float64);
      run.config.finish();
      const double total = sum(abs(x)).item();
      check_sum(what + ", sum", total, row.at("exp_sum"), row.at("tol_sum"));
      check_sum(what + ", mean", total / static_cast<double>(x.numel()), row.at("exp_mean"),
                row.at("tol_mean"));
    } catch (const std::exception& error) {
      FAIL_CHECK(what << ": " << error.what());
    }
  }
}

TEST_CASE("golden schedulers.csv") { check_rows(golden_path("schedulers.csv")); }

// The same sums from diffusers 0.27.2 on PyTorch 1.13, for more settings; within 1e-4, since the
// reference steps in float32.
TEST_CASE("golden schedulers in more settings") {
  check_rows(source_folder() + "/tests/diffusion/samplers/schedulers_more.csv");
}

}  // namespace
}  // namespace ebb::test
