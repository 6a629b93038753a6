// Every sampler at its defaults on every schedule and prediction type, for data N(m, v), whose
// denoiser and flow are known: x_0 = m + sqrt(v) (x_T - alpha m) / sqrt(alpha^2 v + sigma^2).
#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tests/diffusion/samplers/mixture.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

constexpr double mean_of_data = 0.3, variance_of_data = 0.25;

struct Case {
  std::string name;
  Path path;
};

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const std::string& name : schedule_names())
    result.push_back({name, Path::discrete(alphas_cumprod_named(name, 1000))});
  result.push_back(
      {"tutorial's", Path::discrete(alphas_cumprod(cosine_betas(200, 0.008, 0.9999, 1e-4)))});
  for (const char* name : {"linear", "cosine"})
    result.push_back({std::string(name) + ", zero SNR",
                      Path::discrete(zero_terminal_snr(alphas_cumprod_named(name, 1000)))});
  result.push_back({"flow", Path::flow()});
  result.push_back({"flow, shift 3", Path::flow(3, 1000)});
  result.push_back({"edm", Path::edm()});
  return result;
}

bool is_distilled(std::string_view name) {
  return name == "lcm" || name == "tcd" || name == "consistency";
}

// From how many steps on a sampler is meant, as its help says.
std::int64_t least_steps(std::string_view summary) {
  const std::size_t at = summary.find("; from ");
  return at == std::string_view::npos ? 1 : std::stol(std::string(summary.substr(at + 7)));
}

// The last of few steps that are even in t starts from much noise on these (s = 1.5 of ten steps on
// exponential), as the help of --schedule says: there a hundred are needed.
bool starts_late(const Case& c, const SamplerInfo& info) {
  return info.spacing == Spacing::trailing && (c.name == "exponential" || c.name == "laplace");
}

// How far a sampler ends from where it should, in standard deviations of the data: each point where
// it follows the flow, the mean and the deviation of all where it is stochastic.
double error_of(const SamplerInfo& info, const Path& path, Prediction prediction,
                std::int64_t steps) {
  const Mixture data({{1, {mean_of_data}, variance_of_data}});
  const Predictor network = [&](const Tensor& x, const Level& level) {
    return output_of(
        prediction,
        [&] {
          const Estimate e = data.denoiser()(x, level);
          return X0Eps{e.x0, e.eps};
        }(),
        level);
  };
  const TimeGrid grid = make_grid(path, steps, info.spacing);
  const Level& first = grid[0];
  const double deviation =
      std::sqrt(first.alpha * first.alpha * variance_of_data + first.sigma * first.sigma);
  const Tensor z = normals({2000, 1}, 3);
  const Tensor x = z * deviation + first.alpha * mean_of_data;
  const Tensor end = run_sampler(
      info.name, {make_denoiser(network, prediction), path, grid, philox_noise(2), {}}, x);
  const double scale = std::sqrt(variance_of_data);
  if (info.order == 0)
    return std::abs(mean(end).item() - mean_of_data) / scale +
           std::abs(ebb::std(end).item() / scale - 1);
  const Tensor away = end - (z * scale + mean_of_data);
  return std::sqrt(mean(away * away).item()) / scale;
}

TEST_CASE("every sampler on every schedule and prediction lands near the exact solution") {
  const bool show = std::getenv("EBB_ACCURACY") != nullptr;
  for (const Case& c : cases())
    for (const SamplerInfo& info : samplers()) {
      if (is_distilled(info.name)) {
        CHECK(info.summary.find("for distilled models") != std::string_view::npos);
        continue;
      }
      for (const std::int64_t steps : {10, 20, 50, 100})
        for (const Prediction prediction :
             {Prediction::v, Prediction::epsilon, Prediction::x0, Prediction::flow}) {
          if (prediction == Prediction::epsilon && c.path.at(c.path.t_noise()).alpha == 0) continue;
          if (show && prediction != Prediction::v) continue;
          const std::int64_t least = starts_late(c, info) ? 100 : least_steps(info.summary);
          if (!show && steps < least) continue;
          // What an exact network predicts changes nothing but roundings: once for each sampler.
          if (prediction != Prediction::v && steps != std::max<std::int64_t>(20, least)) continue;
          const double error = error_of(info, c.path, prediction, steps);
          if (show)
            MESSAGE("ROW " << c.name << "|" << info.name << "|" << steps << "|" << error);
          else
            CHECK_MESSAGE(error < 0.3, c.name << ", " << info.name << ", " << steps << " steps, "
                                              << name_of(prediction));
        }
    }
}

}  // namespace
}  // namespace ebb::test
