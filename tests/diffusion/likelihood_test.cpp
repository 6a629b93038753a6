#include <doctest/doctest.h>
#include <ebb/diffusion/metrics/likelihood.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>
#include <numbers>

namespace {

using namespace ebb;

// 8-bit images away from the outermost bins.
Batch random_images(std::int64_t count) {
  const Tensor bytes = philox_integers({count, 4, 4, 1}, 30, 220, {5, Purpose::other});
  return {add(mul(bytes.to(DType::float64), 1 / 127.5), -1).to(DType::float32), {}};
}

// A model whose x_0 is off by `c` everywhere.
TimedPredictor knows(const Batch& batch, double c) {
  return [=](const Tensor&, const Tensor&, const Conditioning&) { return add(batch.images, c); };
}

}  // namespace

TEST_SUITE("likelihood") {
  TEST_CASE("a model that knows the image pays for the prior and the last bin alone") {
    const Path path = Path::discrete(alphas_cumprod_named("linear", 1000));
    const Batch batch = random_images(3);
    const BitsPerDimension bits =
        bits_per_dimension(knows(batch, 0), path, Prediction::x0, batch, 7, {});
    CHECK(bits.steps == doctest::Approx(0).epsilon(1e-9));
    CHECK(bits.prior < 1e-4);
    // The mass of a bin, 1/255 to each side of the middle, under the variance of the step to 0.
    const double first = path.at(0).ratio(), second = path.at(1).ratio();
    const double noise = path.alpha(0) * first * std::sqrt(1 - first * first / (second * second));
    CHECK(bits.decoder ==
          doctest::Approx(-std::log2(std::erf(1.0 / 255 / noise / std::numbers::sqrt2)))
              .epsilon(1e-3));
    CHECK(bits.total() == bits.prior + bits.steps + bits.decoder);
  }

  TEST_CASE("the steps cost half the gain in signal-to-noise ratio times the squared error") {
    const Path path = Path::discrete(alphas_cumprod_named("cosine", 100));
    const Batch batch = random_images(2);
    const double c = 0.01;
    double expected = 0;
    for (int t = 1; t < 100; ++t)
      expected += (path.at(t - 1).snr() - path.at(t).snr()) / 2 * c * c / std::numbers::ln2;
    const auto model = knows(batch, c);
    CHECK(bits_per_dimension(model, path, Prediction::x0, batch, 99, {}).steps ==
          doctest::Approx(expected).epsilon(1e-4));
    double mean = 0;
    for (std::uint64_t seed = 0; seed < 300; ++seed)
      mean += bits_per_dimension(model, path, Prediction::x0, batch, 8, {.seed = seed}).steps / 300;
    CHECK(mean == doctest::Approx(expected).epsilon(0.05));
  }

  TEST_CASE("what cannot be evaluated is refused") {
    const Batch batch = random_images(1);
    const Path path = Path::discrete(alphas_cumprod_named("linear", 100));
    CHECK_THROWS_AS(bits_per_dimension(knows(batch, 0), path, Prediction::x0, batch, 100, {}),
                    Error);
    CHECK_THROWS_AS(bits_per_dimension(knows(batch, 0), Path::flow(), Prediction::x0, batch, 5, {}),
                    Error);
  }
}
