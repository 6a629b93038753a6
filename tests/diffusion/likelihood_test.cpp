#include <doctest/doctest.h>
#include <ebb/diffusion/likelihood.h>
#include <ebb/diffusion/prediction.h>
#include <ebb/diffusion/schedule.h>
#include <ebb/tensor/pointwise.h>
#include <ebb/tensor/reduce.h>

#include <cmath>
#include <numbers>

namespace {

using namespace ebb;

Path linear_path(std::int64_t T) { return Path::discrete(alphas_cumprod_named("linear", T)); }

// 8-bit images whose pixels are `levels` equally likely values.
Tensor random_images(std::int64_t count, std::int64_t low, std::int64_t high) {
  const Tensor bytes = philox_integers({count, 4, 4, 1}, low, high, {5, Purpose::other});
  return add(mul(bytes.to(DType::float64), 1 / 127.5), -1);
}

Denoiser knows(const Tensor& x0) {
  return [x0](const Tensor&, const Level&) { return Estimate{x0, {}, {}}; };
}

}  // namespace

TEST_SUITE("likelihood") {
  TEST_CASE("log_mass_of_bin: the 256 bins share all the mass") {
    for (const double mean : {-1.0, 0.1, 0.97})
      for (const double std : {0.003, 0.2, 5.0}) {
        std::vector<double> values;
        for (int i = 0; i < 256; ++i) values.push_back(i / 127.5 - 1);
        const Tensor x = Tensor::from(values);
        CHECK(sum(exp(log_mass_of_bin(x, Tensor::full({256}, mean, DType::float64), std))).item() ==
              doctest::Approx(1).epsilon(1e-12));
      }
  }

  TEST_CASE("log_mass_of_bin: far tails keep their digits on both sides") {
    // Phi(-z) ~ phi(z) / z (1 - 1/z^2 + 3/z^4 - 15/z^6) at both edges of the bin.
    const double std = 0.05;
    const auto tail = [](double z) {
      const double r = 1 / (z * z);
      return std::exp(-z * z / 2) / (z * std::sqrt(2 * std::numbers::pi)) *
             (1 - r + 3 * r * r - 15 * r * r * r);
    };
    const double expected = std::log(tail((0.5 - 1.0 / 255) / std) - tail((0.5 + 1.0 / 255) / std));
    const Tensor zero = Tensor::zeros({2}, DType::float64);
    const Tensor mass = log_mass_of_bin(Tensor::from<double>({0.5, -0.5}), zero, std);
    CHECK(mass.to_vector<double>()[0] == doctest::Approx(expected).epsilon(1e-6));
    CHECK(mass.to_vector<double>()[0] == doctest::Approx(mass.to_vector<double>()[1]));
  }

  TEST_CASE("a denoiser that knows the image pays for the prior and the last bin alone") {
    const Path path = linear_path(1000);
    const Tensor images = random_images(3, 0, 256);
    const BitsPerDimension bits = bits_per_dimension(knows(images), make_grid(path, 1000), images);
    CHECK(bits.steps == 0);
    CHECK(bits.prior < 1e-4);
    const double r = path.at(0).ratio();  // 0.01: a bin is +-0.0039 wide
    const double middle = -std::log2(std::erf(1.0 / 255 / r / std::numbers::sqrt2));
    CHECK(bits.decoder <= doctest::Approx(middle));
    CHECK(bits.decoder > 0.95 * middle);
  }

  TEST_CASE("evaluating every step gives the sum that it estimates") {
    // A denoiser that is wrong by c everywhere: each step costs c^2 (q_x0)^2 / (2 variance).
    const Path path = linear_path(1000);
    const TimeGrid grid = make_grid(path, 25);
    const Tensor images = random_images(2, 60, 200);
    const double c = 0.01;
    double expected = 0;
    for (std::size_t i = 0; i + 2 < grid.size(); ++i) {
      const double from = 1 / (grid[i].ratio() * grid[i].ratio());
      const double to = 1 / (grid[i + 1].ratio() * grid[i + 1].ratio());
      expected += (to - from) / 2 * c * c / std::numbers::ln2;  // half the gain in SNR
    }
    const Denoiser denoiser = knows(add(images, c));
    CHECK(bits_per_dimension(denoiser, grid, images, {.evaluations = 100}).steps ==
          doctest::Approx(expected));
    double mean = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed)
      mean += bits_per_dimension(denoiser, grid, images, {.evaluations = 3, .seed = seed}).steps;
    CHECK(mean / 400 == doctest::Approx(expected).epsilon(0.1));
  }

  TEST_CASE("a path that does not preserve the variance is refused") {
    const Path path = linear_path(100).rescaled(Scaling::flow);
    const Tensor images = random_images(1, 0, 256);
    CHECK_THROWS_AS(bits_per_dimension(knows(images), make_grid(path, 10), images), Error);
  }
}
