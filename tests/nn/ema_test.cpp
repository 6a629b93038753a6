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

  TEST_CASE("the optimizer's pass updates it as update() does, absent gradients included") {
    const auto run = [](bool fused) {
      NamedParameter p = parameter(1), q{"q", Variable(Tensor::full({3}, 2.0), true)};
      Sgd optimizer({p, q}, {.learning_rate = 0.1, .momentum = 0.9});
      Ema ema({p, q}, {.decay = 0.7});
      for (int i = 0; i < 4; ++i) {
        p.variable.set_grad(Tensor::full({2}, 1.0 + i, DType::float64));
        q.variable.set_grad(i == 2 ? Tensor() : Tensor::ones({3}));
        optimizer.step({.ema = fused ? &ema : nullptr});
        if (!fused) ema.update();
      }
      return ema.state();
    };
    const auto fused = run(true), apart = run(false);
    REQUIRE(fused.size() == 3);
    CHECK(fused[0].name == "p.average");
    CHECK(fused[2].name == "updates");
    for (std::size_t i = 0; i < fused.size(); ++i) {
      const auto a = fused[i].tensor.to_vector<double>(), b = apart[i].tensor.to_vector<double>();
      for (std::size_t j = 0; j < a.size(); ++j)
        CHECK(a[j] == doctest::Approx(b[j]).epsilon(fused[i].name[0] == 'q' ? 1e-6 : 1e-14));
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
