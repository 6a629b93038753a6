#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/tensor.h>

#include <cmath>
#include <cstdint>
#include <limits>

using namespace ebb;

TEST_SUITE("tensor") {
  TEST_CASE("from, reshape and item") {
    const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
    const Tensor y = x.reshape({3, -1});
    CHECK(y.shape() == Shape{3, 2});
    CHECK(y.shares_memory(x));
    CHECK(y.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(x.reshape(std::vector<std::int64_t>{-1}).shape() == Shape{6});
    CHECK_THROWS_AS(x.reshape({4, -1}), Error);
    CHECK_THROWS_AS(x.reshape({-1, -1}), Error);
    CHECK_THROWS_AS(x.reshape({2, 2}), Error);
    CHECK_THROWS_AS(x.item(), Error);
    CHECK(Tensor::scalar(2.5).item() == 2.5);
    CHECK_THROWS_WITH(Tensor::from<float>({1, 2, 3}, {2, 2}),
                      "tensor: 12 bytes given, shape (2, 2) of float32 needs 16");
  }

  TEST_CASE("conversions keep what they can") {
    const double inf = std::numeric_limits<double>::infinity();
    const Tensor x = Tensor::from<double>({1.9, -1.9, inf, -inf, std::nan("")});
    CHECK(x.to(DType::int64).to_vector<std::int64_t>() ==
          std::vector<std::int64_t>{1, -1, INT64_MAX, INT64_MIN, 0});
    CHECK(x.to(DType::float64).shares_memory(x));
    CHECK(Tensor::from<std::int64_t>({3}).to(DType::float32).item() == 3);
  }

  TEST_CASE("an undefined tensor is an error, not a crash") {
    const Tensor x;
    CHECK_FALSE(x.defined());
    CHECK_THROWS_AS(x.device(), Error);
    CHECK_THROWS_AS(x.item(), Error);
    CHECK_THROWS_AS(x.clone(), Error);
    CHECK_THROWS_AS(x.to(DType::float32), Error);
    CHECK_THROWS_AS(x.data<float>(), Error);
    CHECK_THROWS_AS(x.reshape({1}), Error);
  }

  TEST_CASE("data is reached by its own type and on the host only") {
    const Tensor x = Tensor::ones({2});
    CHECK_THROWS_WITH(x.data<double>(),
                      "data: the tensor is float32, not float64; convert with to(DType)");
    const Tensor far = x.to(Device::test);
    CHECK_THROWS_WITH(far.data<float>(),
                      "data: the tensor is on device test; copy it with to(Device::cpu)");
    CHECK(far.to_vector<float>() == std::vector<float>{1, 1});
    CHECK(far.to(Device::cpu).device() == Device::cpu);
  }

  TEST_CASE("cuda is an error that says how to go on") {
    if (!cuda::present()) {
      CHECK_THROWS_WITH(Tensor::empty({2}, DType::float32, Device::cuda),
                        "device cuda: this build has no CUDA kernels; use --device cpu");
    }
    CHECK(parse_device("test") == Device::test);
    CHECK_THROWS_AS(parse_device("tpu"), Error);
  }

  TEST_CASE("in-place changes count") {
    Tensor x = Tensor::zeros({3});
    const Tensor other = x;
    const std::uint64_t before = other.version();
    x.fill_(2);
    x.copy_(Tensor::from<double>({1, 2, 3}));
    x.mutable_data<float>()[0] = 7;
    CHECK(other.version() == before + 3);
    CHECK(other.to_vector<float>() == std::vector<float>{7, 2, 3});
    CHECK_THROWS_AS(x.copy_(Tensor::zeros({4})), Error);
  }

  TEST_CASE("zero-size tensors") {
    const Tensor x = Tensor::zeros({0, 3});
    CHECK(x.numel() == 0);
    CHECK(x.clone().to(DType::float64).to(Device::test).to_vector<float>().empty());
  }

  TEST_CASE("a repeated size is served from the cache") {
    const Shape shape{1237, 331};
    Tensor::empty(shape);
    const StorageStatistics before = storage_statistics(Device::cpu);
    for (int i = 0; i < 10; ++i) Tensor::empty(shape);
    const StorageStatistics after = storage_statistics(Device::cpu);
    CHECK(after.system_allocations == before.system_allocations);
    CHECK(after.requests == before.requests + 10);
    CHECK(after.bytes_live == before.bytes_live);
    release_cached_storage(Device::cpu);
    CHECK(storage_statistics(Device::cpu).bytes_cached == 0);
    const Tensor aligned = Tensor::empty({3});
    CHECK(reinterpret_cast<std::uintptr_t>(aligned.raw()) % Storage::alignment == 0);
  }

  TEST_CASE("a request beyond all memory is an error, not a crash") {
    CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 50}), Error);
  }
}
