// What holds between samplers, whatever the model.
#include <doctest/doctest.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/threads.h>

#include <set>

#include "tests/diffusion/samplers/mixture.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

Path table_path() { return Path::discrete(alphas_cumprod(linear_betas(1000))); }

// A smooth closed-form network in any shape, told its time.
Tensor network(const Tensor& x, const Level& level) { return sin(x * 1.5 + level.t * 0.01) * 0.8; }

TEST_CASE("ddpm is ddim with eta 1 on the same noise") {
  const Path path = table_path();
  const Mixture mixture = plane_mixture();
  const Tensor x = normals({50, 2}, 1);
  for (const std::int64_t steps : {1000, 37}) {
    const Sampling s{mixture.denoiser(), path, make_grid(path, steps), philox_noise(4), {}};
    CHECK(relative_error(ddpm(s, x), ddim(s, x, 1)) < 1e-10);
    CHECK(relative_error(ddpm(s, x), ddim(s, x, 0)) > 0.01);
  }
}

TEST_CASE("euler is ddim in other words, and deis and DPM-Solver++ of order 1 too") {
  const Path path = table_path();
  const Tensor x = normals({50, 2}, 1);
  const Sampling s{plane_mixture().denoiser(), path, make_grid(path, 20), {}, {}};
  const Tensor expected = ddim(s, x);
  CHECK(relative_error(euler(s, x), expected) < 1e-12);
  CHECK(relative_error(flow_euler(s, x), expected) < 1e-12);
  CHECK(relative_error(deis(s, x, {.order = 1}), expected) < 1e-12);
  CHECK(relative_error(dpm_solver_multistep(s, x, {.order = 1}), expected) < 1e-12);
  CHECK(relative_error(lms(s, x, 1), expected) < 1e-12);
  CHECK(relative_error(euler_ancestral(s, x, 0), expected) < 1e-12);
  CHECK(relative_error(tcd(s, x, 0), expected) < 1e-12);
  CHECK(relative_error(euler_churn(s, x, {}), expected) < 1e-12);
}

TEST_CASE("inversion, then ddim, returns the start: the error falls with the steps") {
  const Path path = smooth_path();
  const Mixture mixture = plane_mixture();
  const Tensor x0 =
      ddim({mixture.denoiser(), path, make_grid(path, 400), {}, {}}, normals({40, 2}, 2));
  // An inversion shows the model x of one level and the time of the next: a network sees t alone.
  const Denoiser denoiser =
      make_denoiser([&](const Tensor& x,
                        const Level& level) { return mixture.denoiser()(x, path.at(level.t)).eps; },
                    Prediction::epsilon);
  std::vector<double> errors;
  for (const std::int64_t steps : {50, 100, 200, 400}) {
    TimeGrid down = make_grid(path, steps);
    const Tensor latent = ddim_inversion({denoiser, path, inverted(down), {}, {}}, x0);
    errors.push_back(relative_error(ddim({denoiser, path, down, {}, {}}, latent), x0));
  }
  CHECK(errors[0] < 0.03);
  CHECK(errors[3] < 0.0045);
  for (std::size_t i = 0; i + 1 < errors.size(); ++i) CHECK(errors[i + 1] < 0.57 * errors[i]);
}

TEST_CASE("paths with the same SNR give the same x_0") {
  const Path vp = table_path(), flow = vp.rescaled(Scaling::flow);
  const Path ve = vp.rescaled(Scaling::variance_exploding);
  const Mixture mixture = plane_mixture();
  const Tensor x = normals({30, 2}, 3);
  for (const SamplerInfo& info : samplers()) {
    if (info.name == "lcm") continue;  // its boundary terms mix x itself with x_0
    CAPTURE(info.name);
    const auto run = [&](const Path& path) {
      TimeGrid grid = make_grid(path, 12, info.spacing);
      const Tensor start = x * (grid[0].alpha / vp.at(999).alpha);
      return info.run({mixture.denoiser(), path, grid, philox_noise(9), {}}, start, {});
    };
    const Tensor expected = run(vp);
    CHECK(relative_error(run(flow), expected) < 1e-9);
    CHECK(relative_error(run(ve), expected) < 1e-9);
  }
}

TEST_CASE("no sampler makes a NaN: zero terminal SNR, one, two and T steps, repeated levels") {
  const Path zero = Path::discrete(zero_terminal_snr(alphas_cumprod(linear_betas(60, 1e-3, 0.3))));
  const Path plain = Path::discrete(alphas_cumprod(linear_betas(60, 1e-3, 0.3)));
  const Path flow = Path::flow();
  const Tensor x = normals({2, 3, 3, 1}, 5, DType::float32);
  const Denoiser v = make_denoiser(network, Prediction::v);
  for (const SamplerInfo& info : samplers()) {
    for (const Path* path : {&zero, &plain, &flow}) {
      for (const std::int64_t steps : {1, 2, 3, 60}) {
        const TimeGrid grid = make_grid(*path, steps);
        std::int64_t seen = 0;
        const Observer observer = [&](const StepView& view) {
          CHECK(view.step < view.steps);
          CHECK(view.steps == steps);
          ++seen;
        };
        const Tensor y = run_sampler(info.name, {v, *path, grid, philox_noise(1), observer}, x);
        CHECK_MESSAGE(all_finite(y), info.name << " with " << steps << " steps");
        CHECK_MESSAGE(seen == steps, info.name << " with " << steps << " steps showed " << seen);
        CHECK(y.shape() == x.shape());
      }
    }
    // Every level twice, at both ends three times.
    TimeGrid doubled;
    for (const Level& level : make_grid(plain, 5))
      doubled.insert(doubled.end(), level.t == 59 || level.sigma == 0 ? 3 : 2, level);
    doubled.resize(doubled.size() - 2);
    CHECK_MESSAGE(all_finite(run_sampler(info.name, {v, plain, doubled, philox_noise(1), {}}, x)),
                  info.name << " with repeated levels");
    TimeGrid noise_twice = make_grid(zero, 4);
    noise_twice.insert(noise_twice.begin(), noise_twice.front());
    CHECK_MESSAGE(
        all_finite(run_sampler(info.name, {v, zero, noise_twice, philox_noise(1), {}}, x)),
        info.name << " with pure noise twice");
  }
}

TEST_CASE("the step into clean data needs no lower_order_final") {
  const Path path = table_path();
  const Sampling s{plane_mixture().denoiser(), path, make_grid(path, 6), philox_noise(1), {}};
  const Tensor x = normals({5, 2}, 1);
  for (const int order : {1, 2, 3}) {
    CHECK(all_finite(unipc(s, x, {.order = order, .lower_order_final = false})));
    CHECK(all_finite(deis(s, x, {.order = order})));
    for (const DpmVariant variant : {DpmVariant::midpoint, DpmVariant::heun, DpmVariant::exact})
      for (const bool stochastic : {false, true})
        CHECK(all_finite(dpm_solver_multistep(s, x, {order, variant, stochastic, false})));
  }
}

TEST_CASE("consistency adds what leaves room for its least noise") {
  // x_0 is 0 everywhere: after the first step x is the noise itself.
  const Path path = Path::edm();
  const Denoiser zero = [](const Tensor& y, const Level&) { return Estimate{y * 0.0, y, {}}; };
  Trajectory way;
  const TimeGrid grid{path.at_ratio(4), path.at_ratio(1), path.at_ratio(0.6)};
  const Tensor x = normals({2, 2}, 1);
  const Tensor end = consistency({zero, path, grid, philox_noise(8), way.recorder()}, x, 0.6);
  CHECK(relative_error(way.x[0], philox_noise(8)(x, 0) * 0.8) < 1e-14);
  CHECK(all_finite(end));
  CHECK(sum(abs(end)).item() == 0);
}

TEST_CASE("repeated levels change nothing for a deterministic sampler of one evaluation") {
  const Path path = table_path();
  const Tensor x = normals({20, 2}, 6);
  const Denoiser denoiser = plane_mixture().denoiser();
  for (const std::string_view name :
       {"ddim", "euler", "flow_euler", "dpmpp_2m", "dpmpp_3m", "deis", "lms", "unipc"}) {
    TimeGrid grid = make_grid(path, 8, Spacing::trailing), doubled = grid;
    doubled.insert(doubled.begin() + 3, doubled[3]);
    const Tensor once = run_sampler(name, {denoiser, path, grid, {}, {}}, x);
    const Tensor twice = run_sampler(name, {denoiser, path, doubled, {}, {}}, x);
    // UniPC's corrector moves x between the two visits.
    CHECK_MESSAGE(relative_error(twice, once) < (name == "unipc" ? 0.05 : 1e-12), name);
  }
}

TEST_CASE("an image is a function of seed and index, not of batch, threads or order") {
  const Path path = Path::discrete(alphas_cumprod_named("cosine", 100));
  const Shape image{1, 8, 8, 3};
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  const ConditionalPredictor model = [](const Tensor& x, const Level& level,
                                        const Conditioning& given) {
    return network(x, level) + per_sample(given.labels.to_vector<double>(), x) * 0.1;
  };
  for (const SamplerInfo& info : samplers()) {
    const auto run = [&](const std::vector<std::int64_t>& indices) {
      const Tensor chosen = Tensor::from(indices);
      std::vector<Tensor> starts;
      for (const std::int64_t i : indices) starts.push_back(start_noise(path, image, 11, i));
      const Predictor guided =
          classifier_free(model, index_select(labels, 0, chosen),
                          Tensor::full(chosen.shape(), 10, DType::int64), 2.0, {.rescale = 0.5});
      const Denoiser denoiser = make_denoiser(
          guided, Prediction::v, {{.kind = Clip::Kind::dynamic, .percentile = 0.9}, false});
      return info.run(
          {denoiser, path, make_grid(path, 5, info.spacing), philox_noise(11, indices), {}},
          cat(starts, 0), {});
    };
    const Tensor all = run({0, 1, 2, 3, 4, 5});
    const Tensor turned = run({4, 0, 2});
    set_thread_count(3);
    const Tensor threads = run({0, 1, 2, 3, 4, 5});
    set_thread_count(1);
    const Tensor one = run({0, 1, 2, 3, 4, 5});
    CAPTURE(info.name);
    const std::vector<float> bits = all.to_vector<float>();
    CHECK(threads.to_vector<float>() == bits);
    CHECK(one.to_vector<float>() == bits);
    const std::vector<std::int64_t> order{4, 0, 2};
    for (std::int64_t i = 0; i < 3; ++i)
      CHECK(
          slice(turned, 0, i, i + 1).to_vector<float>() ==
          slice(all, 0, order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(i)] + 1)
              .to_vector<float>());
  }
}

TEST_CASE("errors say what is allowed") {
  const Path path = table_path();
  const Tensor x = normals({2, 2}, 1);
  const Sampling s{plane_mixture().denoiser(), path, make_grid(path, 3), philox_noise(0), {}};
  CHECK_THROWS_WITH_AS(ddim(s, x, 1.5), "ddim: eta = 1.5; it must be in [0, 1]", Error);
  CHECK_THROWS_AS(ddim(s, x, -0.1), Error);
  CHECK_THROWS_AS(ddim(s, x, std::nan("")), Error);
  CHECK_THROWS_WITH_AS(euler_ancestral(s, x, 2), doctest::Contains("[0, 1]"), Error);
  CHECK_THROWS_AS(tcd(s, x, -1), Error);
  CHECK_THROWS_AS(lms(s, x, 5), Error);
  CHECK_THROWS_AS(dpm_solver_multistep(s, x, {.order = 4}), Error);
  CHECK_THROWS_AS(heun(s, x, {.churn = -1}), Error);
  CHECK_THROWS_WITH_AS(make_grid(path, 1001), doctest::Contains("from 1 to 1000 are possible"),
                       Error);
  CHECK_THROWS_AS(grid_of_times(path, {5, -3}, path.clean()), Error);
  CHECK_THROWS_WITH_AS(run_sampler("dpm", s, x), doctest::Contains("ddpm, ddpm_large, ddim"),
                       Error);
  CHECK_THROWS_WITH_AS(run_sampler("euler", s, x, {.eta = 1, .churn = {}}),
                       doctest::Contains("takes no eta"), Error);
  CHECK_THROWS_AS(run_sampler("ddim", s, x, {.eta = {}, .churn = 1}), Error);
  CHECK_THROWS_AS(run_sampler("ddim", {s.denoiser, path, {path.clean()}, {}, {}}, x), Error);
  CHECK_THROWS_WITH_AS(ddpm({s.denoiser, path, s.grid, {}, {}}, x),
                       doctest::Contains("no source of it"), Error);
}

TEST_CASE("an observer sees every step and may cancel") {
  const Path path = table_path();
  const Tensor x = normals({2, 2}, 1);
  Trajectory way;
  const Sampling s{plane_mixture().denoiser(), path, make_grid(path, 6), {}, way.recorder()};
  const Tensor end = ddim(s, x);
  CHECK(way.x.size() == 6);
  CHECK(relative_error(way.x.back(), end) == 0);
  CHECK(relative_error(way.x0.back(), end) < 1e-12);
  CHECK(way.levels[0].t == s.grid[1].t);
  const Observer stop = [](const StepView& view) {
    if (view.step == 2) throw Cancelled();
  };
  CHECK_THROWS_AS(ddim({s.denoiser, path, s.grid, {}, stop}, x), Cancelled);
}

TEST_CASE("the registry names each sampler once") {
  std::set<std::string_view> names;
  for (const SamplerInfo& info : samplers()) {
    CHECK(names.insert(info.name).second);
    CHECK(info.summary.find('\n') == std::string_view::npos);
    CHECK(&find_sampler(info.name) == &info);
  }
}

}  // namespace
}  // namespace ebb::test
