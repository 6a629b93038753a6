// The emulated GPU: it runs kernels as a GPU would, and tells what they may not do.
#include "emulation.h"

#include <doctest/doctest.h>
#include <ebb/tensor/backend/async_copy.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/pointwise.h>

#include "tests/cuda/kernels_for_tests.h"

namespace ebb {
namespace {

// A kernel's sin fails the test that it is in, and no other.
struct Forgetting : doctest::IReporter {
  explicit Forgetting(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData&) override { emulation::forget_report(); }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("forgetting", 1, Forgetting);

TEST_CASE("emulated GPU: it tells each sin, and no deed that is none") {
  for (const test::Sin& sin : test::sins()) {
    CAPTURE(std::string(sin.name));
    set_storage_caching(false);
    const Tensor x = Tensor::ones({256}, DType::float32, Device::cuda);
    set_storage_caching(true);
    std::string told;
    try {
      sin.run(x);
      x.to(Device::cpu);
    } catch (const Error& error) {
      told = error.what();
    }
    CAPTURE(told);
    if (sin.told == nullptr)
      CHECK(told == "");
    else
      CHECK(told.find(sin.told) != std::string::npos);
    // As on a GPU, nothing goes on after it.
    if (sin.told != nullptr)
      CHECK_THROWS_AS(Tensor::ones({4}, DType::float32, Device::cuda), Error);
    emulation::forget_report();
  }
}

TEST_CASE("emulated GPU: shuffles, votes, atomics, shared memory") {
  std::vector<float> values(640);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i * 7 % 13) - 6);
  const Tensor x = Tensor::from(values).to(Device::cuda);
  Tensor sums = Tensor::empty({640}, DType::float32, Device::cuda), reversed = x.clone();
  Tensor votes = Tensor::empty({640}, DType::int64, Device::cuda);
  Tensor total = Tensor::zeros({2}, DType::float32, Device::cuda);
  test::warp_sums(x, sums, votes);
  test::atomic_sum(x, total);
  test::reverse_blocks(x, reversed);
  const auto got = sums.to_vector<float>(), back = reversed.to_vector<float>();
  const auto positive = votes.to_vector<std::int64_t>();
  float all = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    float sum = 0;
    std::int64_t count = 0;
    for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
      sum += values[j];
      count += values[j] > 0;
    }
    CHECK(got[i] == sum);
    CHECK(positive[i] == count);
    CHECK(back[i] == values[i / 64 * 64 + 63 - i % 64]);
    all += values[i];
  }
  CHECK(total.to_vector<float>()[0] == all);
}

TEST_CASE("emulated GPU: a copy comes when it is waited for, and not before") {
  for (const auto order : {emulation::Order::copies_late, emulation::Order::copies_early,
                           emulation::Order::all_late}) {
    emulation::set_order(order);
    Tensor x = Tensor::full({1000}, 2);
    AsyncCopy up(x, Device::cuda);
    x.fill_(3);
    const bool late = order == emulation::Order::copies_late;
    // Kernels that forget to wait read what was there before.
    if (late) CHECK(any(not_equal((up.result() * 2).to(Device::cpu), 4)));
    up.wait();
    const Tensor doubled = up.result() * 2;
    AsyncCopy down(doubled, Device::cpu);
    if (late) CHECK(down.result().to_vector<float>() != std::vector<float>(1000, 4));
    down.wait();
    CHECK(down.result().to_vector<float>() == std::vector<float>(1000, 4));
  }
  emulation::set_order(emulation::Order::copies_late);
}

TEST_CASE("cuda: memory that is not there is an Error with the bytes and the mend") {
  emulation::set_memory(std::size_t{64} << 20);
  const Tensor some = Tensor::zeros({std::int64_t{1} << 22}, DType::float32, Device::cuda);
  CHECK_THROWS_WITH(Tensor::zeros({std::int64_t{1} << 24}, DType::float32, Device::cuda),
                    doctest::Contains("allocate: no 67108864 bytes left on device cuda"));
  emulation::set_memory(std::size_t{2} << 30);
  CHECK(Tensor::zeros({std::int64_t{1} << 24}, DType::float32, Device::cuda).numel() == 1 << 24);
}

TEST_CASE("cuda: an address beyond the devices, a second device") {
  CHECK(cuda::describe() == std::vector<std::string>{"cuda:0 emulated GPU, 2 GiB, sm_90",
                                                     "cuda:1 emulated GPU, 2 GiB, sm_90"});
  CHECK_THROWS_WITH(Tensor::zeros({1}, DType::float32, Device(Device::cuda, 2)),
                    "device cuda:2: there are 2 of its kind; count from 0");
  const Device second(Device::cuda, 1);
  const Tensor x = Tensor::full({3}, 2, DType::float32, second);
  CHECK((x * x).device() == second);
  CHECK((x * x).to_vector<float>() == std::vector<float>{4, 4, 4});
  CHECK(x.to(Device::cuda).to_vector<float>() == std::vector<float>{2, 2, 2});
}

}  // namespace
}  // namespace ebb
