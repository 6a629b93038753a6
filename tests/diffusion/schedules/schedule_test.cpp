#include <doctest/doctest.h>
#include <ebb/diffusion/schedules/path.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/error.h>

#include <cmath>
#include <limits>

#include "tests/golden.h"

namespace ebb::test {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("schedules of the tutorial") {
  const Golden golden("tutorial.safetensors");
  const auto same = [&](const std::string& name, const std::vector<double>& betas) {
    check_close(name, Tensor::from(betas), golden["schedule/" + name + "/betas"], 2e-6);
    check_close(name, Tensor::from(alphas_cumprod(betas)),
                golden["schedule/" + name + "/alphas_cumprod"], 2e-6);
  };
  same("linear", linear_betas(1000));
  same("quadratic", quadratic_betas(1000));
  // The tutorial takes the cosine of float32 numbers near pi / 2: beta near its cap is rough.
  check_close("cosine", Tensor::from(cosine_betas(1000, 0.008, 0.9999, 1e-4)),
              golden["schedule/cosine/betas"], 1e-3);
  check_close("cosine", Tensor::from(alphas_cumprod(cosine_betas(1000, 0.008, 0.9999, 1e-4))),
              golden["schedule/cosine/alphas_cumprod"], 2e-6);
  check_close("linear 200", Tensor::from(linear_betas(200)), golden["betas_linear_200"], 2e-6);
}

TEST_CASE("schedules in closed form") {
  CHECK(linear_betas(1) == std::vector<double>{1e-4});
  CHECK(linear_betas(5, 0.1, 0.5)[2] == doctest::Approx(0.3).epsilon(1e-15));
  CHECK(quadratic_betas(3, 0.01, 0.25)[1] == doctest::Approx(0.09).epsilon(1e-14));
  CHECK(sigmoid_betas(3, 0.1, 0.3)[1] == doctest::Approx(0.2).epsilon(1e-14));
  // sigmoid(-6) = 0.00247262315663
  CHECK(sigmoid_betas(3, 0.1, 0.3)[0] == doctest::Approx(0.1 + 0.2 * 0.00247262315663));
  // 1 - e^{-12/1000}
  for (const double beta : exponential_betas(1000))
    CHECK(beta == doctest::Approx(-std::expm1(-0.012)).epsilon(1e-12));
  CHECK(scale_endpoint(0.02, 200) == doctest::Approx(0.1).epsilon(1e-15));

  // alpha_bar at the middle: SNR 1 for Laplace and the sigmoid, both odd about it.
  CHECK(alphas_cumprod(laplace_betas(1000))[499] == doctest::Approx(0.5).epsilon(1e-12));
  CHECK(alphas_cumprod(sigmoid_alpha_bar_betas(1000))[499] == doctest::Approx(0.5).epsilon(1e-12));
  // log SNR = b log(1 - 2 (u - 1/2)) at u = 3/4: b log(1/2), so SNR = 2^{-1/2} for b = 1/2.
  const double snr = std::pow(2.0, -0.5);
  CHECK(alphas_cumprod(laplace_betas(1000))[749] ==
        doctest::Approx(snr / (1 + snr)).epsilon(1e-12));
  const double c = std::cos((0.25 + 0.008) / 1.008 * std::acos(0.0));
  const double c0 = std::cos(0.008 / 1.008 * std::acos(0.0));
  CHECK(alphas_cumprod(cosine_betas(400))[99] == doctest::Approx(c * c / (c0 * c0)).epsilon(1e-12));
  CHECK(cosine_betas(100).back() == 0.999);

  for (const std::string& name : schedule_names()) {
    CAPTURE(name);
    const std::vector<double> a = alphas_cumprod_named(name, 100);
    CHECK(a.size() == 100);
    CHECK_NOTHROW(Path::discrete(a));
    const std::vector<double> betas = betas_of_alphas_cumprod(a), again = alphas_cumprod(betas);
    for (std::size_t t = 0; t < a.size(); ++t)
      CHECK(again[t] == doctest::Approx(a[t]).epsilon(1e-12));
  }
}

TEST_CASE("zero terminal SNR") {
  const std::vector<double> before = alphas_cumprod(linear_betas(1000));
  const std::vector<double> after = zero_terminal_snr(before);
  CHECK(after.front() == doctest::Approx(before.front()).epsilon(1e-15));
  CHECK(after.back() == 0);
  CHECK(after[998] > 0);
  // Linear in sqrt(alpha_bar).
  const double slope = (std::sqrt(after[500]) - std::sqrt(after[100])) /
                       (std::sqrt(before[500]) - std::sqrt(before[100]));
  CHECK(slope ==
        doctest::Approx(std::sqrt(before[0]) / (std::sqrt(before[0]) - std::sqrt(before[999]))));
  const Path path = Path::discrete(after);
  CHECK(path.at(999).alpha == 0);
  CHECK(path.at(999).sigma == 1);
  CHECK(path.at(999).ratio() == infinity);
  CHECK(std::isfinite(path.at(998.5).ratio()));
  CHECK(path.at(998.5).ratio() > path.at(998).ratio());
}

TEST_CASE("a schedule that makes no sense is an error") {
  CHECK_THROWS_AS(linear_betas(0), Error);
  CHECK_THROWS_AS(linear_betas(10, 0, 0.02), Error);
  CHECK_THROWS_AS(linear_betas(10, 1e-4, 1), Error);
  CHECK_THROWS_AS(scale_endpoint(0.02, 10), Error);
  CHECK_THROWS_AS(cosine_betas(10, 0.008, 0.5, 0.6), Error);
  CHECK_THROWS_WITH_AS(alphas_cumprod_named("cosin", 10),
                       doctest::Contains("one of linear, linear_unscaled"), Error);
  CHECK_THROWS_AS(Path::discrete({}), Error);
  CHECK_THROWS_AS(Path::discrete({0.9, 0.95}), Error);
  CHECK_THROWS_AS(Path::discrete({1.0, 0.5}), Error);
  CHECK_THROWS_AS(Path::edm(1, 0.5), Error);
  CHECK_THROWS_AS(Path::flow(0), Error);
}

TEST_CASE("a path knows alpha, sigma and their ratio at any t, and back") {
  const std::vector<Path> paths{
      Path::discrete(alphas_cumprod(linear_betas(1000))),
      Path::discrete(alphas_cumprod(linear_betas(1000)), TableInterpolation::ratio),
      Path::discrete(zero_terminal_snr(alphas_cumprod(linear_betas(1000)))),
      Path::discrete(alphas_cumprod(linear_betas(1000))).rescaled(Scaling::flow),
      Path::edm(),
      Path::flow(),
      Path::flow(3, 1000)};
  for (const Path& path : paths) {
    for (int i = 0; i <= 40; ++i) {
      const double t = path.t_data() + (path.t_noise() - path.t_data()) * (i + 0.25) / 41;
      const Level level = path.at(t);
      CAPTURE(t);
      CHECK(path.at_ratio(level.ratio()).t == doctest::Approx(t).epsilon(1e-9));
      CHECK(path.at_lambda(level.lambda()).sigma == doctest::Approx(level.sigma).epsilon(1e-9));
      switch (path.scaling()) {
        case Scaling::variance_preserving:
          CHECK(std::hypot(level.alpha, level.sigma) == doctest::Approx(1).epsilon(1e-14));
          break;
        case Scaling::variance_exploding:
          CHECK(level.alpha == 1);
          break;
        case Scaling::flow:
          CHECK(level.alpha + level.sigma == doctest::Approx(1).epsilon(1e-14));
      }
    }
    CHECK(path.clean().alpha == 1);
    CHECK(path.clean().sigma == 0);
    CHECK_THROWS_AS(path.at(path.t_noise() + 0.01), Error);
    CHECK_THROWS_AS(path.at(path.t_data() - 0.01), Error);
    CHECK_THROWS_AS(path.at(std::nan("")), Error);
  }
  const Path& table = paths[0];
  const std::vector<double> a = alphas_cumprod(linear_betas(1000));
  for (const std::size_t t : {0, 1, 500, 999}) {
    CHECK(table.alpha(static_cast<double>(t)) == doctest::Approx(std::sqrt(a[t])).epsilon(1e-13));
    CHECK(table.sigma(static_cast<double>(t)) ==
          doctest::Approx(std::sqrt(1 - a[t])).epsilon(1e-12));
  }
  CHECK(table.at(-1).sigma == 0);
  // Between entries: the mean of the logarithms, or of the ratios.
  const double low = table.at(10).ratio(), high = table.at(11).ratio();
  CHECK(table.at(10.5).ratio() == doctest::Approx(std::sqrt(low * high)).epsilon(1e-12));
  CHECK(paths[1].at(10.5).ratio() == doctest::Approx((low + high) / 2).epsilon(1e-12));
  // A ratio beyond the table is kept; its time is the nearest that a model knows.
  CHECK(table.at_ratio(1e-4).t == 0);
  CHECK(table.at_ratio(1e-4).ratio() == doctest::Approx(1e-4));
  CHECK(table.at_ratio(1e4).t == 999);
  // sigma = 3 u / (1 + 2 u) at u = 1/2.
  CHECK(paths[6].sigma(500) == 0.5);
  CHECK(paths[6].sigma(paths[6].time_at(0.5)) == doctest::Approx(0.75).epsilon(1e-14));
  CHECK(paths[4].at(0.25 * std::log(2.0)).sigma == doctest::Approx(2).epsilon(1e-12));
  CHECK(paths[4].start_std() == doctest::Approx(std::sqrt(6401.0)));
}

}  // namespace
}  // namespace ebb::test
