// What the headers allow several threads at once, for ThreadSanitizer too: each thread's results
// are those of the same work alone.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/symmetric_eigen.h>
#include <ebb/tensor/threads.h>
#include <ebb/tensor/weight_cache.h>

#include <atomic>
#include <functional>
#include <thread>

#include "tests/temporary_folder.h"

using namespace ebb;

namespace {

using Bits = std::vector<double>;

// `work(t)` for t = 0, 1, 2, each alone and then all at once, several times over.
void same_at_once(const std::function<Bits(int)>& work) {
  constexpr int count = 3;
  std::vector<Bits> alone(count);
  for (int t = 0; t < count; ++t) alone[static_cast<std::size_t>(t)] = work(t);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2; ++i)
        if (work(t) != alone[static_cast<std::size_t>(t)]) ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

Tensor normals(const Shape& shape, int seed) {
  return philox_normal(shape, {static_cast<std::uint64_t>(seed)});
}

}  // namespace

TEST_SUITE_BEGIN("threads");

TEST_CASE("threads: operators and their gradients on shared inputs") {
  const Tensor x = normals({2, 12, 12, 16}, 1), w = normals({32, 16, 3, 3}, 2);
  const Tensor q = normals({2, 4, 70, 8}, 3);
  same_at_once([&](int t) {
    const Variable weight(w, true), query(q, true);
    const Variable y = group_norm(conv2d(x, weight, {}, {.padding = {1, 1}}), 4);
    const Variable loss =
        add(mul(mean(square(y)), t + 1), sum(scaled_dot_product_attention(query, query, query)));
    loss.backward();
    Bits result = weight.grad().to_vector<double>();
    const Bits more = query.grad().to_vector<double>();
    result.insert(result.end(), more.begin(), more.end());
    return result;
  });
}

TEST_CASE("threads: products and eigenvalues in float64") {
  const Tensor a = normals({600, 90}, 4).to(DType::float64);
  same_at_once([&](int t) {
    const Tensor product = bmm(a, mul(a, t + 1), true);
    return symmetric_eigen(product).values.to_vector<double>();
  });
}

TEST_CASE("threads: each trains a network of its own") {
  same_at_once([](int t) {
    PhiloxGenerator generator(static_cast<std::uint64_t>(t));
    SimpleUNet model({.channels = 1, .time_features = 16}, generator);
    Adam adam(named_parameters(model), {});
    Bits losses;
    for (int step = 0; step < 2; ++step) {
      const Variable loss = mse_loss(model(normals({2, 8, 8, 1}, step), Tensor::full({2}, step)),
                                     normals({2, 8, 8, 1}, t));
      loss.backward();
      adam.step();
      adam.zero_grad();
      losses.push_back(loss.item());
    }
    return losses;
  });
}

TEST_CASE("threads: all sample from one network, each with a cache of its own") {
  PhiloxGenerator generator(7);
  const ConditionalUNet model(3, {.channels = 1}, generator);
  const Path path = Path::discrete(alphas_cumprod_named("linear", 100));
  same_at_once([&](int t) {
    WeightCache cache;
    const WeightCache::Scope scope(cache);
    const Denoiser denoiser = make_denoiser(
        [&](const Tensor& x, const Level& level) {
          const NoGrad no_grad;
          return model(x, times_of(level, x), Tensor::full({x.size(0)}, t, DType::int64)).value();
        },
        Prediction::epsilon);
    return ddim({denoiser, path, make_grid(path, 3), {}, {}}, normals({1, 8, 8, 1}, t))
        .to_vector<double>();
  });
}

TEST_CASE("threads: one file read by all, settings changed meanwhile") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  write_safetensors(path, {{"x", normals({300, 7}, 5)}});
  std::atomic<bool> done = false;
  std::thread settings([&] {
    const int before = thread_count();
    for (int i = 0; !done; ++i) {
      set_thread_count(1 + i % 3);
      storage_statistics(Device::cpu);
      release_cached_storage(Device::cpu);
    }
    set_thread_count(before);
  });
  same_at_once([&](int t) {
    const Tensor x = read_safetensors(path)["x"];
    return sum(mul(x, t)).to_vector<double>();
  });
  done = true;
  settings.join();
}

TEST_SUITE_END();
