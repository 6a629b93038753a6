#include <doctest/doctest.h>
#include <ebb/nn/optim/learning_rate.h>
#include <ebb/tensor/error.h>

#include <cmath>

namespace {

using namespace ebb;

TEST_SUITE("learning rate") {
  TEST_CASE("cosine annealing is torch's CosineAnnealingLR(T_max=7, eta_min=0.5) on 2") {
    const double expected[] = {2.0,
                               1.9257266509268143,
                               1.71761735139405,
                               1.4168907004672358,
                               1.0831092995327642,
                               0.7823826486059499,
                               0.5742733490731857,
                               0.5,
                               0.5742733490731856,
                               0.7823826486059496,
                               1.0831092995327638,
                               1.4168907004672346,
                               1.7176173513940494,
                               1.9257266509268138,
                               1.9999999999999993,
                               1.925726650926814};
    for (int step = 0; step < 16; ++step)
      CHECK(2 * cosine_annealing(step, 7, 0.25) == doctest::Approx(expected[step]).epsilon(1e-14));
  }

  TEST_CASE("warm-up and decay are straight lines") {
    CHECK(linear_warmup(0, 4) == 0.25);
    CHECK(linear_warmup(3, 4) == 1);
    CHECK(linear_warmup(99, 4) == 1);
    CHECK(linear_warmup(0, 0) == 1);
    CHECK(linear_decay(0, 4) == 1);
    CHECK(linear_decay(1, 4, 0.2) == doctest::Approx(0.8));
    CHECK(linear_decay(9, 4, 0.2) == doctest::Approx(0.2));
  }

  TEST_CASE("warm-up, then the cosine over what is left") {
    const WarmupCosine o{.warmup = 4, .total = 12, .last = 0.1};
    CHECK(warmup_cosine(0, o) == 0.25);
    CHECK(warmup_cosine(3, o) == 1);
    CHECK(warmup_cosine(4, o) == 1);
    CHECK(warmup_cosine(8, o) == doctest::Approx(0.55));
    CHECK(warmup_cosine(12, o) == doctest::Approx(0.1));
    CHECK(warmup_cosine(500, o) == doctest::Approx(0.1));
  }

  TEST_CASE("impossible schedules are errors") {
    CHECK_THROWS_AS(cosine_annealing(0, 0), Error);
    CHECK_THROWS_AS(linear_decay(-1, 5), Error);
    CHECK_THROWS_AS(warmup_cosine(0, {.warmup = 5, .total = 5}), Error);
  }
}

}  // namespace
