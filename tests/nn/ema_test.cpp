#include <doctest/doctest.h>
#include <ebb/nn/optim/ema.h>
#include <ebb/nn/optim/optimizer.h>

namespace {

using namespace ebb;

NamedParameter parameter(double value) {
  return {"p", Variable(Tensor::full({2}, value, DType::float64), true)};
}

double first(const std::vector<NamedTensor>& tensors) {
  return tensors[0].tensor.to_vector<double>()[0];
}

TEST_SUITE("ema") {
  TEST_CASE("a constant decay has a closed form") {
    NamedParameter p = parameter(1);
    Ema ema({p}, {.decay = 0.9, .warm_up = false});
    p.variable.set_value(Tensor::full({2}, 5, DType::float64));
    for (int i = 0; i < 10; ++i) ema.update();
    CHECK(first(ema.weights()) == doctest::Approx(5 - 4 * std::pow(0.9, 10)).epsilon(1e-14));
    CHECK(ema.updates() == 10);
    CHECK(ema.state()[0].name == "p.average");
    CHECK(ema.state()[1].name == "updates");
  }

  TEST_CASE("the warm-up of diffusers' EMAModel: 0, 2/11, 3/12, ... up to the decay") {
    NamedParameter p = parameter(1);
    Ema ema({p}, {.decay = 0.3});
    const double decays[] = {0, 2.0 / 11, 3.0 / 12, 0.3, 0.3};
    double expected = 1;
    for (int n = 0; n < 5; ++n) {
      CHECK(ema.decay() == doctest::Approx(decays[n]).epsilon(1e-15));
      p.variable.set_value(Tensor::full({2}, 3 + n * n, DType::float64));
      ema.update();
      expected = decays[n] * expected + (1 - decays[n]) * (3 + n * n);
      CHECK(first(ema.weights()) == doctest::Approx(expected).epsilon(1e-14));
    }
  }

  TEST_CASE("UseEma exchanges for its scope") {
    NamedParameter p = parameter(1);
    Ema ema({p}, {.decay = 0.5, .warm_up = false});
    p.variable.set_value(Tensor::full({2}, 3, DType::float64));
    ema.update();
    {
      UseEma use(ema);
      CHECK(p.variable.value().to_vector<double>()[0] == 2);
      CHECK(first(ema.weights()) == 2);
      CHECK(first(ema.state()) == 2);
      CHECK_THROWS_AS(ema.update(), Error);
      CHECK_THROWS_AS(ema.load_state(ema.state()), Error);
    }
    CHECK(p.variable.value().to_vector<double>()[0] == 3);
    CHECK(first(ema.weights()) == 2);
  }

  TEST_CASE("an average is not taken for raw weights, nor the other way round") {
    NamedParameter p = parameter(1);
    Ema ema({p}, {});
    const std::vector<NamedTensor> raw{{"p", p.variable.value()}};
    CHECK_THROWS_AS(ema.load_state(raw), Error);
    CHECK_THROWS_AS(load_tensors(raw, ema.state()), Error);
    CHECK_THROWS_AS(Ema({p}, {.decay = 1}), Error);
  }
}

}  // namespace
