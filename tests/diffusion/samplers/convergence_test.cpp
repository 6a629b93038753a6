// Every deterministic sampler against the exact solution of the probability-flow ODE: the slope of
// log error over log steps is its order.
//
// With EBB_SLOPES=FILE the table is written to FILE; diffusion/README.md keeps it.
#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/reduce.h>

#include <cstdlib>
#include <fstream>

#include "tests/diffusion/samplers/mixture.h"

namespace ebb::test {
namespace {

using Method = std::function<Tensor(const Sampling&, Tensor)>;

// Multistep methods of order p start with lower ones. One step of order 1 costs an error of second
// order, which shows the sooner the larger its constant is: their slopes lie in between.
struct Order {
  std::string name;
  double start, order;  // in theory
  Method method;
};

std::vector<Order> orders() {
  const auto dpm = [](int order, DpmVariant variant) {
    return [=](const Sampling& s, Tensor x) {
      return dpm_solver_multistep(s, x, {order, variant, false, false});
    };
  };
  return {
      {"ddim", 1, 1, [](const Sampling& s, Tensor x) { return ddim(s, x); }},
      {"euler", 1, 1, euler},
      {"flow_euler", 1, 1, flow_euler},
      {"heun", 2, 2, [](const Sampling& s, Tensor x) { return heun(s, x); }},
      {"flow_heun", 2, 2, flow_heun},
      {"kdpm2", 2, 2, kdpm2},
      {"lms, order 2", 2, 2, [](const Sampling& s, Tensor x) { return lms(s, x, 2); }},
      {"lms", 2, 4, [](const Sampling& s, Tensor x) { return lms(s, x); }},
      {"pndm", 2, 2, [](const Sampling& s, Tensor x) { return pndm(s, x); }},
      {"plms", 2, 2,
       [](const Sampling& s, Tensor x) { return pndm(s, x, PndmStart::improved_euler); }},
      {"dpmpp_2m", 2, 2, dpm(2, DpmVariant::midpoint)},
      {"dpmpp_2m_heun", 2, 2, dpm(2, DpmVariant::heun)},
      {"dpmpp_3m", 2, 2, dpm(3, DpmVariant::midpoint)},
      {"dpmpp_3m_exact", 2, 3, dpm(3, DpmVariant::exact)},
      {"dpmpp_2s", 2, 2, [](const Sampling& s, Tensor x) { return dpm_solver_singlestep(s, x); }},
      {"deis", 2, 2, [](const Sampling& s, Tensor x) { return deis(s, x); }},
      {"deis_3", 2, 3, [](const Sampling& s, Tensor x) { return deis(s, x, {.order = 3}); }},
      {"unipc, predictor alone", 2, 2,
       [](const Sampling& s, Tensor x) { return unipc(s, x, {.corrector = false}); }},
      // The corrector adds an order to the predictor's.
      {"unipc", 3, 3, [](const Sampling& s, Tensor x) { return unipc(s, x); }},
      {"unipc, B(h) = h", 3, 3,
       [](const Sampling& s, Tensor x) { return unipc(s, x, {.bh2 = false}); }},
      {"unipc_3", 3, 4, [](const Sampling& s, Tensor x) { return unipc(s, x, {.order = 3}); }},
  };
}

struct Curve {
  std::vector<double> errors;
  double slope;
};

// Root mean square error of 63 trajectories, their starts even in probability.
Curve measure(const Method& method, const std::vector<std::int64_t>& steps) {
  const Mixture mixture = line_mixture();
  const Path path = smooth_path();
  const Level first = path.at(1), last = path.at(0);
  std::vector<double> starts, ends;
  for (int i = 1; i < 64; ++i) {
    starts.push_back(mixture.quantile(i / 64.0, first));
    ends.push_back(mixture.quantile(i / 64.0, last));
  }
  const Tensor x = Tensor::from(starts, {63, 1}), exact = Tensor::from(ends, {63, 1});
  Curve curve;
  double n = 0, su = 0, sv = 0, suu = 0, suv = 0;
  for (const std::int64_t count : steps) {
    const Tensor result = method({mixture.denoiser(), path, smooth_grid(path, count), {}, {}}, x);
    curve.errors.push_back(std::sqrt(mean(square(result - exact)).item()));
    const double u = std::log(static_cast<double>(count)), v = std::log(curve.errors.back());
    ++n, su += u, sv += v, suu += u * u, suv += u * v;
  }
  curve.slope = -(n * suv - su * sv) / (n * suu - su * su);
  return curve;
}

TEST_CASE("order of convergence to the exact probability flow") {
  const std::vector<std::int64_t> steps{64, 128, 256, 512};
  const char* const file = std::getenv("EBB_SLOPES");
  std::ofstream table;
  if (file) table.open(file);
  table << "| sampler | order | slope | error at 64 steps | 128 | 256 | 512 |\n"
           "|---|---|---|---|---|---|---|\n";
  for (const Order& o : orders()) {
    const Curve curve = measure(o.method, steps);
    const std::string order =
        o.start == o.order ? fmt::format("{}", o.order) : fmt::format("{} to {}", o.start, o.order);
    table << fmt::format("| {} | {} | {:.2f} |", o.name, order, curve.slope);
    for (const double error : curve.errors) table << fmt::format(" {:.1e} |", error);
    table << "\n";
    CHECK_MESSAGE(curve.slope > o.start - 0.15, o.name << ": slope " << curve.slope);
    CHECK_MESSAGE(curve.slope < o.order + 0.15, o.name << ": slope " << curve.slope);
  }
}

}  // namespace
}  // namespace ebb::test
