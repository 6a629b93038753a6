// What is kept of weights is never another weight's, or an older one's.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>
#include <ebb/tensor/weight_cache.h>

#include <algorithm>
#include <functional>
#include <thread>
#include <vector>

using namespace ebb;

namespace {

Tensor normals(std::uint64_t seed, const Shape& shape) { return philox_normal(shape, {seed}); }

std::vector<float> bits(const Tensor& y) { return y.to_vector<float>(); }

// Both convolutions of `weight` have the same bits with the current cache and without.
void same_as_without_cache(const Tensor& weight) {
  WeightCache none(0);
  for (const std::int64_t dim : {1, 0}) {
    const std::int64_t channels = weight.size(dim);
    const auto x = normals(1, {2, 8, 8, channels});
    const auto run = [&] {
      const Conv2dOptions options{.padding = {1, 1}};
      return bits(dim == 1 ? conv2d(x, weight, {}, options)
                           : conv_transpose2d(x, weight, {}, options));
    };
    const std::vector<float> cached = run();
    const WeightCache::Scope scope(none);
    CHECK(cached == run());
  }
}

}  // namespace

TEST_CASE("weight cache: a transform is that of the weight as it is now") {
  WeightCache cache;
  const WeightCache::Scope scope(cache);
  for (int seed = 1; seed <= 3; ++seed) {  // the next weight may have the last one's memory
    Tensor weight = normals(seed, {32, 16, 3, 3});
    const std::vector<std::function<void()>> changes{
        [] {},
        [] {},  // from the cache
        [&] { weight.fill_(0.5); },
        [&] { weight.mutable_data<float>()[7] = 3; },
        [&] { weight.copy_(normals(9, weight.shape())); },
        [&] { add_(weight, weight); },
        [&] { mul_(weight, 0.3); },
        [&] { weight = weight.clone(); },
        [&] {
          weight = weight.reshape({16, 32, 3, 3});
        },  // the same memory, another weight
        [&] {
          weight = weight.reshape({32, 16, 3, 3});
        }};
    for (const auto& change : changes) {
      change();
      same_as_without_cache(weight);
      same_as_without_cache(weight.reshape({16, 32, 3, 3}));
    }
  }
}

TEST_CASE("weight cache: nothing is kept without a scope, and what is kept is given back") {
  Tensor weight = normals(1, {32, 32, 3, 3});
  float* pointer = weight.mutable_data<float>();
  const Tensor x = Tensor::ones({1, 8, 8, 32});
  const auto run = [&] {
    const NoGrad no_grad;
    return conv2d(Variable(x), Variable(weight)).value().to_vector<double>();
  };
  run();
  std::fill_n(pointer, weight.numel(), 0.0f);  // no function of the library sees this
  CHECK(run() == std::vector<double>(6 * 6 * 32, 0.0));

  const std::size_t before = storage_statistics(Device::cpu).bytes_live;
  {
    WeightCache cache;
    CHECK(WeightCache::current() == nullptr);
    const WeightCache::Scope scope(cache);
    run();
    CHECK(cache.bytes() > 0);
    CHECK(storage_statistics(Device::cpu).bytes_live > before);
    WeightCache small(cache.bytes() - 1);
    {
      const WeightCache::Scope inner(small);
      run();
      CHECK(small.bytes() == 0);
      CHECK(WeightCache::current() == &small);
    }
    CHECK(WeightCache::current() == &cache);
    const std::size_t bytes = cache.bytes();
    weight.fill_(1);  // the new version takes the old one's place
    run();
    CHECK(cache.bytes() == bytes);
    std::thread([] { CHECK(WeightCache::current() == nullptr); }).join();
  }
  CHECK(storage_statistics(Device::cpu).bytes_live == before);
}
