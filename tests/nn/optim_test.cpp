#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/threads.h>

#include <cmath>
#include <cstring>

#include "tests/golden.h"

namespace {

using namespace ebb;
using Doubles = std::vector<double>;

NamedParameter parameter(const std::string& name, const Tensor& value) {
  return {name, Variable(value, true)};
}

// Four steps on two parameters whose third step lacks the first one's gradient; where the first
// ends. The second must not be disturbed by that.
template <class Rule>
Doubles trajectory(const typename Rule::Options& options) {
  NamedParameter p = parameter("p", Tensor::from(Doubles{1, -2, 3}));
  NamedParameter q = parameter("q", Tensor::from(Doubles{1, -2, 3}));
  Rule optimizer({p, q}, options);
  const Tensor direction = Tensor::from(Doubles{0.5, -1, 2});
  for (int i = 0; i < 4; ++i) {
    const Tensor grad = mul(direction, std::pow(-0.4, i));
    p.variable.set_grad(i != 2 ? grad.clone() : Tensor());
    q.variable.set_grad(grad);
    optimizer.step();
  }
  CHECK(q.variable.value().to_vector<double>() != p.variable.value().to_vector<double>());
  return p.variable.value().to_vector<double>();
}

void check_near(const Doubles& actual, const Doubles& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    CHECK(actual[i] == doctest::Approx(expected[i]).epsilon(1e-13));
}

// The bits of all tensors one after another.
std::string bits(const std::vector<NamedTensor>& tensors) {
  std::string result;
  for (const NamedTensor& t : tensors)
    result.append(static_cast<const char*>(t.tensor.to(Device::cpu).raw()), t.tensor.bytes());
  return result;
}

template <class F>
void with_threads(int count, const F& f) {
  const int before = thread_count();
  set_thread_count(count);
  f();
  set_thread_count(before);
}

TEST_SUITE("optim") {
  TEST_CASE("constants from PyTorch, a missing gradient among them") {
    check_near(trajectory<Sgd>(
                   {.learning_rate = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.02}),
               {0.8841188980799999, -1.7682377961599998, 2.54594299624});
    check_near(
        trajectory<Adam>({.learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.6, .amsgrad = true}),
        {0.8926872617548576, -1.8926872606638712, 2.8926872601183775});
    check_near(trajectory<AdamW>({.learning_rate = 0.1,
                                  .beta1 = 0.5,
                                  .beta2 = 0.6,
                                  .weight_decay = 0.5,
                                  .amsgrad = true}),
               {0.7602338985705466, -1.6176088975823935, 2.474983897088316});
    check_near(trajectory<AdamW>({.learning_rate = 0.1}),
               {0.8398014009935487, -1.836804398174731, 2.833807396265322});
  }

  TEST_CASE("clipping by the norm of all gradients together") {
    NamedParameter a = parameter("a", Tensor::zeros({2})), b = parameter("b", Tensor::zeros({1}));
    NamedParameter c = parameter("c", Tensor::zeros({5}));
    a.variable.set_grad(Tensor::from(std::vector<float>{2, 3}));
    b.variable.set_grad(Tensor::from(std::vector<float>{-6}));
    CHECK(grad_norm({a, b, c}) == 7);
    CHECK(grad_norm({c}) == 0);
    CHECK(clip_scale(7, 3.5) == doctest::Approx(0.5).epsilon(1e-6));
    CHECK(clip_scale(0, 3.5) == 1);
    CHECK(clip_grad_norm({a, b, c}, 10) == 7);
    CHECK(b.variable.grad().item() == -6);
    CHECK(clip_grad_norm({a, b, c}, 3.5) == 7);
    CHECK(b.variable.grad().item() == doctest::Approx(-3).epsilon(1e-6));
  }

  TEST_CASE("grad_scale is clipping without a pass of its own") {
    const auto run = [](bool fused) {
      NamedParameter p = parameter("p", Tensor::from(Doubles{1, 2, 3}));
      Adam optimizer({p}, {.learning_rate = 0.1, .eps = 1});
      p.variable.set_grad(Tensor::from(Doubles{3, -4, 12}));
      if (fused) {
        optimizer.step({.grad_scale = clip_scale(grad_norm({p}), 2)});
      } else {
        clip_grad_norm({p}, 2);
        optimizer.step();
      }
      return p.variable.value().to_vector<double>();
    };
    CHECK(run(true) == run(false));
  }

  TEST_CASE("stopped and resumed is the same to the bit, the average included") {
    const auto run = [](int stop) {
      TorchGenerator g(4);
      Linear net({.in = 9, .out = 5}, g);
      const Tensor x = g.randn({8, 9});
      const auto make = [&] { return Adam(named_parameters(net), {.learning_rate = 0.01}); };
      auto optimizer = std::make_unique<Adam>(make());
      auto ema = std::make_unique<Ema>(named_parameters(net), Ema::Options{.decay = 0.5});
      for (int i = 0; i < 6; ++i) {
        if (i == stop) {
          const auto optimizer_state = optimizer->state();
          const auto ema_state = ema->state();
          optimizer = std::make_unique<Adam>(make());
          ema = std::make_unique<Ema>(named_parameters(net), Ema::Options{.decay = 0.5});
          optimizer->load_state(optimizer_state);
          ema->load_state(ema_state);
        }
        optimizer->zero_grad();
        sum(square(net(x))).backward();
        optimizer->step();
        ema->update();
      }
      return bits(state_dict(net)) + bits(optimizer->state()) + bits(ema->state());
    };
    const std::string whole = run(-1);
    CHECK(run(1) == whole);
    CHECK(run(3) == whole);
  }

  TEST_CASE("a training step has the same bits for 1, 2 and 3 threads") {
    const auto run = [] {
      TorchGenerator g(5);
      Sequential net{Conv2d({.in = 3, .out = 24, .padding = {1, 1}}, g), Function{silu},
                     GroupNorm({.groups = 4, .channels = 24}),
                     Conv2d({.in = 24, .out = 3, .padding = {1, 1}}, g)};
      const Tensor x = g.randn({4, 17, 19, 3}), target = g.randn({4, 17, 19, 3});
      AdamW optimizer(named_parameters(net), {.learning_rate = 0.01});
      Ema ema(named_parameters(net), {});
      for (int i = 0; i < 2; ++i) {
        optimizer.zero_grad();
        mse_loss(net(x), target).backward();
        const double norm = grad_norm(optimizer.parameters());
        optimizer.step({.grad_scale = clip_scale(norm, 0.1)});
        ema.update();
      }
      return bits(state_dict(net)) + bits(optimizer.state()) + bits(ema.state());
    };
    std::string one, two, three;
    with_threads(1, [&] { one = run(); });
    with_threads(2, [&] { two = run(); });
    with_threads(3, [&] { three = run(); });
    CHECK(one == two);
    CHECK(one == three);
  }

  TEST_CASE("many blocks: the norm and the pass for 1, 2 and 3 threads, float32 near float64") {
    const auto run = [](DType dtype) {
      TorchGenerator g(6);
      std::vector<NamedParameter> p;
      for (const std::int64_t size : {100'003, 1, 0, 16'384, 16'385}) {
        p.push_back(parameter(fmt::format("p{}", size), g.randn({size}).to(dtype)));
        p.back().variable.set_grad(g.randn({size}).to(dtype));
      }
      Adam optimizer(p, {.learning_rate = 0.1, .weight_decay = 0.1});
      const double norm = grad_norm(p);
      optimizer.step({.grad_scale = clip_scale(norm, 1)});
      std::vector<NamedTensor> result{{"norm", Tensor::scalar(norm, DType::float64)}};
      for (const NamedParameter& q : p) result.push_back({q.name, q.variable.value()});
      return result;
    };
    std::string one, two, three;
    with_threads(1, [&] { one = bits(run(DType::float32)); });
    with_threads(2, [&] { two = bits(run(DType::float32)); });
    with_threads(3, [&] { three = bits(run(DType::float32)); });
    CHECK(one == two);
    CHECK(one == three);
    const auto narrow = run(DType::float32), wide = run(DType::float64);
    CHECK(wide[0].tensor.item() == doctest::Approx(std::sqrt(132773)).epsilon(0.01));
    for (std::size_t i = 0; i < wide.size(); ++i)
      ebb::test::check_close(wide[i].name, narrow[i].tensor, wide[i].tensor, 1e-6);
  }

  TEST_CASE("the learning rate can change and the test device works") {
    NamedParameter p = parameter("p", Tensor::ones({3}).to(Device::test));
    Sgd optimizer({p}, {.learning_rate = 1});
    optimizer.set_learning_rate(0.25);
    p.variable.set_grad(Tensor::ones({3}).to(Device::test));
    optimizer.step();
    CHECK(p.variable.value().to_vector<float>() == std::vector<float>{0.75f, 0.75f, 0.75f});
    CHECK(grad_norm({p}) == doctest::Approx(std::sqrt(3.0)));
    optimizer.zero_grad();
    CHECK_FALSE(p.variable.grad().defined());
  }

  TEST_CASE_TEMPLATE("a step counts as a change in place", Rule, Sgd, Adam) {
    NamedParameter p = parameter("p", Tensor::ones({2}));
    const Variable y = sum(square(p.variable));
    Rule optimizer({p}, {});
    p.variable.set_grad(Tensor::ones({2}));
    optimizer.step();
    CHECK_THROWS_AS(y.backward(), Error);
  }

  TEST_CASE("wrong use is one clear error") {
    NamedParameter p = parameter("p", Tensor::ones({2})), q = parameter("q", Tensor::ones({2}));
    CHECK_THROWS_WITH_AS(Adam({p, p}, {}), doctest::Contains("two parameters are named \"p\""),
                         Error);
    CHECK_THROWS_AS(Sgd({p}, {.nesterov = true}), Error);
    CHECK_THROWS_AS(Adam({p}, {.beta2 = 1}), Error);
    CHECK_THROWS_AS(Adam({p}, {.eps = -1}), Error);
    Adam optimizer({p}, {});
    CHECK_THROWS_WITH_AS(optimizer.load_state(Adam({q}, {}).state()),
                         doctest::Contains("\"p.exp_avg\" (2,) is missing"), Error);
    p.variable.set_value(Tensor::ones({2}, DType::float64));
    p.variable.set_grad(Tensor::ones({2}, DType::float64));
    CHECK_THROWS_WITH_AS(optimizer.step(),
                         doctest::Contains("convert the module before making its optimizer"),
                         Error);
  }
}

}  // namespace
