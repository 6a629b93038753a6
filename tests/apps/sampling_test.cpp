#include <doctest/doctest.h>
#include <ebb/apps/runs/sampling.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

namespace ebb::apps {
namespace {

// Says that x_0 is 3 everywhere, of any samples.
struct Three final : Model {
  Variable operator()(const Variable& x, const Tensor&, const Conditioning&) const override {
    return Tensor::full(x.shape(), 3);
  }
  void visit(Visitor&) override {}
};

RunConfig of_images() {
  RunConfig config;
  config.image = {.height = 16, .width = 16, .channels = 1, .class_names = {}};
  config.objective.prediction = Prediction::x0;
  return config;
}

TEST_CASE("samples have the shape and the range that the network says, not the data's") {
  Three model;
  model.sample = {.height = 4, .width = 8, .channels = 5, .clip = {}};
  const SampleRequest request{.steps = 4, .count = 3, .batch = 2};
  const Tensor latents = draw_samples(model, of_images(), request);
  CHECK(latents.shape() == Shape{3, 4, 8, 5});
  CHECK(amax(latents).item() > 2.9);
  model.sample.clip = {Clip::Kind::range};
  const Tensor clipped = draw_samples(model, of_images(), request);
  CHECK(amax(clipped).item() < 1.1);
  SampleRequest asked = request;
  asked.clip = Clip{};
  CHECK(amax(draw_samples(model, of_images(), asked)).item() > 2.9);
}

}  // namespace
}  // namespace ebb::apps
