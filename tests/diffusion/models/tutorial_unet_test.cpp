#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/tensor/ops/layout.h>

using namespace ebb;

namespace {

std::vector<std::string> names(Model& model) {
  std::vector<std::string> result;
  for (const NamedTensor& entry : state_dict(model)) result.push_back(entry.name);
  return result;
}

Tensor times(const std::vector<float>& values) { return Tensor::from(values); }
Tensor labels(const std::vector<std::int64_t>& values) { return Tensor::from(values); }

}  // namespace

TEST_SUITE("tutorial_unet") {
  TEST_CASE("the tutorial's parameter names, in the order of declaration") {
    PhiloxGenerator generator(1);
    SimpleUNet simple({}, generator);
    CHECK(names(simple) == std::vector<std::string>{"down1.weight", "down1.bias", "down2.weight",
                                                    "down2.bias", "time_mlp.weight",
                                                    "time_mlp.bias", "up1.weight", "up1.bias",
                                                    "up2.weight", "up2.bias"});
    ConditionalUNet sinusoidal(4, {.channels = 1, .time_features = 32}, generator);
    CHECK(names(sinusoidal) ==
          std::vector<std::string>{"down1.weight", "down1.bias", "down2.weight", "down2.bias",
                                   "class_emb.weight", "time_mlp.0.weight", "time_mlp.0.bias",
                                   "time_mlp.2.weight", "time_mlp.2.bias", "up1.weight", "up1.bias",
                                   "up2.weight", "up2.bias"});
    CHECK(sinusoidal.num_classes() == 4);
    CHECK(sinusoidal.class_emb.weight.shape() == Shape{5, 128});
  }

  TEST_CASE("an image's prediction does not depend on its batch") {
    PhiloxGenerator generator(2);
    for (const std::int64_t features : {0, 32}) {
      const ConditionalUNet model(3, {.channels = 1, .time_features = features}, generator);
      const Tensor x = generator.randn({3, 12, 9, 1});
      const Tensor t = times({0, 500, 999}), classes = labels({2, 0, 3});
      const Tensor all = model(x, t, classes).value();
      for (std::int64_t i = 0; i < 3; ++i) {
        const Tensor one =
            model(slice(x, 0, i, i + 1), slice(t, 0, i, i + 1), slice(classes, 0, i, i + 1))
                .value();
        CHECK(one.to_vector<float>() == slice(all, 0, i, i + 1).to_vector<float>());
      }
    }
  }

  TEST_CASE("no labels means the null class, whatever the number of classes") {
    PhiloxGenerator generator(3);
    const ConditionalUNet model(3, {.channels = 2}, generator);
    const Tensor x = generator.randn({2, 8, 8, 2}), t = times({1, 2});
    const auto without = model(x, t).value().to_vector<float>();
    CHECK(without == model(x, t, labels({3, 3})).value().to_vector<float>());
    CHECK(without != model(x, t, labels({0, 3})).value().to_vector<float>());
  }

  TEST_CASE("the sinusoidal models hear the time, and keep it in proportion") {
    PhiloxGenerator generator(4);
    const Tensor x = generator.randn({2, 8, 8, 3});
    const SimpleUNet raw({}, generator), sinusoidal({.time_features = 64}, generator);
    auto scale = [&](const SimpleUNet& model, float t) {
      return mean(square(model(x, times({t, t})))).item();
    };
    CHECK(scale(raw, 999) > 1000 * scale(raw, 0));
    CHECK(scale(sinusoidal, 999) < 10 * scale(sinusoidal, 0));
    CHECK(scale(sinusoidal, 999) != scale(sinusoidal, 0));
  }

  TEST_CASE("every parameter gets a gradient") {
    PhiloxGenerator generator(5);
    ConditionalUNet model(2, {.channels = 1, .time_features = 16}, generator);
    sum(square(model(generator.randn({2, 6, 6, 1}), times({3, 900}), labels({0, 2})))).backward();
    for (const NamedParameter& p : named_parameters(model)) {
      INFO(p.name);
      REQUIRE(p.variable.grad().defined());
      CHECK(p.variable.grad().shape() == p.variable.shape());
    }
  }

  TEST_CASE("bad input is an error that says what was expected") {
    PhiloxGenerator generator(6);
    const SimpleUNet simple({}, generator);
    const ConditionalUNet conditional(3, {}, generator);
    const Tensor x = generator.randn({2, 8, 8, 3}), t = times({1, 2});
    CHECK_THROWS_WITH_AS(simple(x, t, labels({0, 0})),
                         "SimpleUNet: labels were given, of which it knows nothing; leave them out",
                         Error);
    CHECK_THROWS_WITH_AS(simple(generator.randn({2, 8, 8, 1}), t),
                         "SimpleUNet: images (2, 8, 8, 1) are not (N, H, W, 3)", Error);
    CHECK_THROWS_AS(simple(x, times({1})), Error);
    CHECK_THROWS_AS(conditional(x, t, labels({0})), Error);
    CHECK_THROWS_AS(conditional(x, t, labels({0, 4})), Error);
    CHECK_THROWS_AS(conditional(x, t, labels({0, -1})), Error);
    CHECK_THROWS_AS(ConditionalUNet(0, {}, generator), Error);
    CHECK_THROWS_AS(SimpleUNet({.time_features = 1}, generator), Error);
  }
}
