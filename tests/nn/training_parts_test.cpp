// The trainer's open places: gradients between backward and step, and groups of parameters.
#include <doctest/doctest.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/nn/training/gradient_buckets.h>
#include <ebb/nn/training/trainer.h>

using namespace ebb;

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  return philox_normal(shape, {seed}, DType::float64);
}

struct Net {
  Variable first{normal({3, 4}, 1), true}, second{normal({4}, 2), true};
  Variable operator()(const Tensor& x) const { return matmul(tanh(matmul(x, first)), second); }
  void visit(Visitor& v) {
    v("first", first);
    v("second", second);
  }
};

LossFunction loss_of(const Net& net) {
  return [&net](const Batch& batch, const StepDraws&) { return mean(square(net(batch.images))); };
}

bool same(Net& a, Net& b) {
  return a.first.value().to_vector<double>() == b.first.value().to_vector<double>() &&
         a.second.value().to_vector<double>() == b.second.value().to_vector<double>();
}

}  // namespace

TEST_CASE("buckets: two trainers that share their gradients are one with the whole batch") {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, std::size_t{1} << 20}) {
    CAPTURE(bytes);
    Net whole, left, right;
    const Batch batch{normal({8, 3}, 5), {}};
    const Batch halves[] = {{batch.images.slice(0, 0, 4), {}}, {batch.images.slice(0, 4, 8), {}}};
    Trainer all(named_parameters(whole), loss_of(whole), {}),
        one(named_parameters(left), loss_of(left), {});
    // The other's gradients, in buckets of the same cut.
    std::vector<Tensor> theirs;
    mean(square(right(halves[1].images))).backward();
    const GradientBuckets other(named_parameters(right), bytes);
    other.reduce([&](Tensor bucket) { return theirs.emplace_back(bucket.clone()); });
    const GradientBuckets own(named_parameters(left), bytes);
    CHECK(own.size() == (bytes == 1 ? 2 : bytes == 100 ? 2 : 1));
    std::size_t at = 0;
    one.on_gradients([&](const std::vector<NamedParameter>& parameters) {
      CHECK(parameters.size() == 2);
      own.reduce([&](Tensor bucket) { return (bucket + theirs[at++]) * 0.5; });
    });
    const StepReport got = one.step(halves[0], 0), want = all.step(batch, 0);
    CHECK(got.grad_norm == doctest::Approx(want.grad_norm).epsilon(1e-12));
    CHECK(relative_error(left.first.value(), whole.first.value()) < 1e-12);
    CHECK(relative_error(left.second.value(), whole.second.value()) < 1e-12);
  }
}

TEST_CASE("buckets: a missing gradient stays missing unless somebody has one") {
  Net net;
  sum(net.first).backward();
  const GradientBuckets buckets(named_parameters(net));
  buckets.reduce([](Tensor bucket) { return bucket * 2.0; });
  CHECK(net.first.grad().to_vector<double>() == std::vector<double>(12, 2));
  CHECK_FALSE(net.second.grad().defined());
  buckets.reduce([](Tensor bucket) { return bucket + 1.0; });
  CHECK(net.second.grad().to_vector<double>() == std::vector<double>(4, 1));
  CHECK_THROWS_WITH(buckets.reduce([](Tensor) { return Tensor::ones({3}); }),
                    doctest::Contains("a bucket of shape (16,) came back as (3,)"));
}

TEST_CASE("parameter groups: each with its rate and decay, as optimizers of their own") {
  const auto step = [](Net& net, Optimizer& optimizer) {
    mean(square(net(normal({8, 3}, 5)))).backward();
    optimizer.step();
    zero_grad(net);
  };
  for (const bool adam : {true, false}) {
    Net together, apart;
    const auto part = [](Net& net, std::size_t i) {
      return std::vector<NamedParameter>{named_parameters(net)[i]};
    };
    const std::vector<ParameterGroup> groups{{part(together, 0), 1, {}},
                                             {part(together, 1), 0.1, 0.0}};
    const auto make = [&](const auto& parameters, double rate,
                          double decay) -> std::unique_ptr<Optimizer> {
      if (adam)
        return std::make_unique<AdamW>(
            parameters, AdamW::Options{.learning_rate = rate, .weight_decay = decay});
      return std::make_unique<Sgd>(parameters,
                                   Sgd::Options{.learning_rate = rate, .weight_decay = decay});
    };
    const auto all = make(groups, 0.01, 0.2);
    const auto first = make(part(apart, 0), 0.01, 0.2), second = make(part(apart, 1), 0.001, 0.0);
    for (int i = 0; i < 3; ++i) {
      step(together, *all);
      mean(square(apart(normal({8, 3}, 5)))).backward();
      first->step();
      second->step();
      zero_grad(apart);
    }
    CHECK(same(together, apart));
    CHECK(all->parameters().size() == 2);
  }
}
