// Batches made ahead by a thread.
#include <doctest/doctest.h>
#include <ebb/nn/training/batch_loader.h>

#include <atomic>
#include <chrono>

using namespace ebb;

TEST_SUITE_BEGIN("threads loader");

TEST_CASE("BatchLoader: the batches that were asked for, errors in their place, jumps") {
  std::atomic<int> made{0};
  const auto make = [&](std::int64_t step) {
    ++made;
    if (step % 7 == 3) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    check(step != 12, "no batch {}", step);
    return Batch{Tensor::full({2}, static_cast<double>(step)), {}};
  };
  const auto value = [](const Batch& batch) { return batch.images.to_vector<double>()[0]; };
  BatchLoader loader(make, Device::cpu, 3);
  for (const std::int64_t step : {0, 1, 2, 3, 4, 9, 10, 11, 5, 6, 7, 20, 20, 0})
    CHECK(value(loader.batch(step)) == static_cast<double>(step));
  CHECK(value(loader.batch(11)) == 11);
  CHECK_THROWS_WITH(loader.batch(12), "no batch 12");
  CHECK(value(loader.batch(13)) == 13);
  CHECK_THROWS_WITH(loader.batch(12), "no batch 12");
  const int before = made;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(made - before <= 4);  // no further ahead than it may
  CHECK_THROWS_AS(BatchLoader(make, Device::cpu, 0), Error);
  const BatchLoader unused(make);
}

TEST_SUITE_END();
