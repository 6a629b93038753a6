#include <doctest/doctest.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/classifier.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace {

using namespace ebb;

bool same_bits(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].name != b[i].name || a[i].tensor.shape() != b[i].tensor.shape() ||
        std::memcmp(a[i].tensor.raw(), b[i].tensor.raw(), a[i].tensor.bytes()) != 0)
      return false;
  return true;
}

// A tiny U-Net on 8x8 squares of two classes: bright left, bright right.
struct Run {
  PhiloxGenerator generator{7};
  UNet2D model{unet2d_preset("tiny", 1, 2), generator};
  Trainer trainer;
  DataOrder order{48, 8, 3};

  explicit Run(const TrainingConfig& config = {.warmup_steps = 3, .seed = 3},
               const ObjectiveConfig& objective = {.flip = false})
      : trainer(named_parameters(model),
                diffusion_objective(model, Path::discrete(alphas_cumprod_named("cosine", 1000)),
                                    objective),
                config) {}

  Batch batch(std::int64_t step) {
    std::vector<float> pixels;
    std::vector<std::int64_t> labels;
    for (const std::int64_t i : order.indices(step)) {
      labels.push_back(i % 2);
      for (int p = 0; p < 64; ++p)
        pixels.push_back((p % 8 < 4) == (i % 2 == 0) ? 0.5f + 0.01f * static_cast<float>(i) : -1.f);
    }
    return {Tensor::from(pixels, {8, 8, 8, 1}), Tensor::from(labels)};
  }
  void train(std::int64_t until, std::int64_t total) {
    while (trainer.steps() < until)
      trainer.step(batch(trainer.steps()),
                   static_cast<double>(trainer.steps()) / static_cast<double>(total));
  }
};

}  // namespace

TEST_SUITE("trainer") {
  TEST_CASE("stopped at any step and resumed: the same bits") {
    Run whole;
    whole.train(7, 7);
    for (const std::int64_t stop : {1, 4}) {
      Run first;
      first.train(stop, 7);
      const std::vector<NamedTensor> state = first.trainer.state();
      Run second;
      second.train(2, 7);  // another past, to be forgotten
      second.trainer.load_state(state);
      CHECK(second.trainer.steps() == stop);
      second.train(7, 7);
      CHECK(same_bits(second.trainer.state(), whole.trainer.state()));
    }
  }

  TEST_CASE("the same bits with 1, 2 and 3 threads") {
    const int before = thread_count();
    std::vector<std::vector<NamedTensor>> states;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      Run run;
      run.train(3, 3);
      states.push_back(run.trainer.state());
    }
    set_thread_count(before);
    CHECK(same_bits(states[0], states[1]));
    CHECK(same_bits(states[0], states[2]));
  }

  TEST_CASE("the loss falls, and the average follows the weights") {
    Run run({.learning_rate = 4e-3, .warmup_steps = 5, .ema_decay = 0.9, .seed = 3});
    double early = 0, late = 0;
    for (int i = 0; i < 120; ++i) {
      const double loss = run.trainer.step(run.batch(i), i / 120.0).loss;
      (i < 20 ? early : late) += i < 20 || i >= 100 ? loss : 0;
    }
    CHECK(late < 0.6 * early);
    const std::vector<NamedTensor> average = run.trainer.ema().weights();
    CHECK_FALSE(same_bits(average, run.trainer.raw_weights()));
    {
      const UseEma scope(run.trainer.ema());
      CHECK(same_bits(run.trainer.raw_weights(), average));
    }
    CHECK_FALSE(same_bits(run.trainer.raw_weights(), average));
  }

  TEST_CASE("parts of a batch give the gradient of the whole") {
    Run whole, parts({.warmup_steps = 3, .accumulation = 4, .seed = 3});
    const StepReport a = whole.trainer.step(whole.batch(0), 0);
    const StepReport b = parts.trainer.step(parts.batch(0), 0);
    CHECK(b.loss == doctest::Approx(a.loss).epsilon(1e-6));
    CHECK(b.grad_norm == doctest::Approx(a.grad_norm).epsilon(1e-5));
    CHECK_THROWS_AS(Run({.accumulation = 0}), Error);
  }

  TEST_CASE("the learning rate warms up, then follows the budget") {
    const TrainingConfig config{
        .learning_rate = 1e-3, .warmup_steps = 4, .last_learning_rate = 0.1};
    CHECK(learning_rate_at(config, 0, 0) == doctest::Approx(0.25e-3));
    CHECK(learning_rate_at(config, 3, 0) == doctest::Approx(1e-3));
    CHECK(learning_rate_at(config, 100, 0.5) == doctest::Approx(0.55e-3));
    CHECK(learning_rate_at(config, 100, 1) == doctest::Approx(1e-4));
    CHECK(learning_rate_at(config, 100, 1.5) == doctest::Approx(1e-4));
  }

  TEST_CASE("a loss that is not finite changes nothing") {
    Run run;
    run.train(1, 4);
    std::vector<NamedTensor> before = run.trainer.state();
    for (NamedTensor& t : before) t.tensor = t.tensor.clone();
    Batch batch = run.batch(1);
    batch.images.mutable_data<float>()[5] = NAN;
    CHECK_THROWS_AS(run.trainer.step(batch, 0), Error);
    CHECK(same_bits(run.trainer.state(), before));
  }

  TEST_CASE("a file of weights is no state, and a state of another network is refused") {
    Run run;
    CHECK_THROWS_WITH_AS(run.trainer.load_state(run.trainer.raw_weights()),
                         doctest::Contains("'step'"), Error);
    std::vector<NamedTensor> state = run.trainer.state();
    state.pop_back();
    CHECK_THROWS_AS(run.trainer.load_state(state), Error);
  }

  TEST_CASE("DataOrder: every epoch is a permutation, and steps can be asked for in any order") {
    DataOrder order(10, 4, 1);
    std::vector<std::int64_t> all;
    for (std::int64_t step = 0; step < 5; ++step)
      for (const std::int64_t i : order.indices(step)) all.push_back(i);
    CHECK(std::set<std::int64_t>(all.begin(), all.begin() + 10).size() == 10);
    CHECK(std::set<std::int64_t>(all.begin() + 10, all.end()).size() == 10);
    CHECK(std::vector<std::int64_t>(all.begin(), all.begin() + 10) !=
          std::vector<std::int64_t>(all.begin() + 10, all.end()));
    DataOrder other(10, 4, 1);
    CHECK(other.indices(3) == std::vector<std::int64_t>(all.begin() + 12, all.begin() + 16));
    CHECK(other.indices(0) == std::vector<std::int64_t>(all.begin(), all.begin() + 4));
  }

  TEST_CASE("flip_half mirrors about half of the images, each wholly") {
    const Tensor images = philox_normal({200, 3, 5, 2}, {1, Purpose::other});
    const Tensor flipped = flip_half(images, {9, 2, 0, 200});
    const Tensor mirror = flip(images, {2});
    int count = 0;
    for (std::int64_t i = 0; i < 200; ++i) {
      const Tensor now = select(flipped, 0, i);
      const bool is_mirrored = relative_error(now, select(mirror, 0, i)) == 0;
      CHECK((is_mirrored || relative_error(now, select(images, 0, i)) == 0));
      count += is_mirrored;
    }
    CHECK(count > 70);
    CHECK(count < 130);
  }

  TEST_CASE("the classifier learns what it is shown") {
    PhiloxGenerator generator(1);
    Classifier classifier(1, 2, generator);
    Run data;
    Trainer trainer(named_parameters(classifier), classification_objective(classifier, false),
                    {.warmup_steps = 3});
    for (std::int64_t step = 0; step < 20; ++step)
      trainer.step(data.batch(step), static_cast<double>(step) / 20);
    const Batch batch = data.batch(3);
    const Classification classification = classify(classifier, batch.images, 3);
    CHECK(classification.features.shape() == Shape{8, Classifier::feature_count});
    CHECK(relative_error(classification.logits,
                         classifier.logits(classifier.features(batch.images)).value()) == 0);
    CHECK(sum(equal(argmax(classification.logits, 1), batch.conditioning.labels)).item() == 8);
  }
}
