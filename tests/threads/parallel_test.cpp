// parallel_for, and what a program around the library may rely on.
#include <doctest/doctest.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/ops/pointwise.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <limits>
#include <numeric>
#include <thread>
#include <vector>

using namespace ebb;

namespace {

// Runs `body` with 1, 2 and 3 threads.
template <class Body>
void with_threads(const Body& body) {
  const int before = thread_count();
  for (const int threads : {1, 2, 3}) {
    CAPTURE(threads);
    set_thread_count(threads);
    body();
  }
  set_thread_count(before);
}

}  // namespace

TEST_SUITE_BEGIN("threads");

TEST_CASE("parallel_for: every element once, in blocks of the grain") {
  with_threads([] {
    for (const std::int64_t count : {0, 1, 2, 7, 64, 1000})
      for (const std::int64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
        cpu::parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
          const std::int64_t step = std::max<std::int64_t>(1, grain);
          if (begin % step != 0 || end != std::min(count, begin + step)) return;
          for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
        });
        CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
      }
    // The last block's end must not overflow.
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::atomic<std::int64_t> total = 0;
    cpu::parallel_for(most, most / 2,
                      [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
    CHECK(total == most);
  });
}

TEST_CASE("parallel_for: an exception reaches the caller, and the next call works") {
  with_threads([] {
    for (const std::int64_t bad : {0, 1, 57, 99}) {
      std::atomic<int> begun = 0, done = 0;
      const auto run = [&](bool nested) {
        cpu::parallel_for(100, 1, [&](std::int64_t i, std::int64_t) {
          ++begun;
          if (i == bad && !nested) fail("block {}", i);
          if (i == bad) cpu::parallel_for(4, 1, [&](std::int64_t, std::int64_t) { fail("inner"); });
          ++done;
        });
      };
      CHECK_THROWS_WITH_AS(run(false), fmt::format("block {}", bad).c_str(), Error);
      CHECK_THROWS_WITH_AS(run(true), "inner", Error);
      CHECK(begun == done + 2);
      CHECK_NOTHROW(cpu::parallel_for(100, 1, [&](std::int64_t, std::int64_t) { ++done; }));
    }
  });
}

TEST_CASE("scratch: no memory is an Error, in a region too") {
  with_threads([] {
    struct Buffer;
    for (const std::int64_t count :
         {std::int64_t{1} << 46, std::int64_t{1} << 60, std::numeric_limits<std::int64_t>::max()}) {
      CHECK_THROWS_AS((cpu::scratch<Buffer, double>(count)), Error);
      CHECK_THROWS_AS(cpu::parallel_for(8, 1,
                                        [&](std::int64_t, std::int64_t) {
                                          cpu::scratch<Buffer, double>(count)[0] = 1;
                                        }),
                      Error);
      CHECK_NOTHROW((cpu::scratch<Buffer, double>(16)[15] = 1));
    }
  });
}

TEST_CASE("the caller's floating-point state is its own") {
  // Volatile: neither may be worked out beforehand.
  volatile double smallest = std::numeric_limits<double>::min(), two = 2, three = 3;
  const Tensor one = Tensor::ones({1}), many = Tensor::ones({1 << 18});
  with_threads([&] {
    std::fenv_t before;
    std::fegetenv(&before);
    std::fesetround(FE_UPWARD);
    std::feclearexcept(FE_ALL_EXCEPT);
    for (const Tensor& x : {one, many}) {
      // A division by zero and an inexact sum, which raise flags where they are computed.
      const Tensor y = div(add(x, 1e-9), sub(x, x));
      CHECK(std::fetestexcept(FE_ALL_EXCEPT) == 0);
      CHECK(std::fegetround() == FE_UPWARD);
      CHECK_THROWS_AS(cpu::parallel_for(9, 1, [](std::int64_t, std::int64_t) { fail("no"); }),
                      Error);
      CHECK(std::fegetround() == FE_UPWARD);
    }
    std::fesetround(FE_TONEAREST);
    const Tensor nearest = div(one, add(one, 2.0));
    std::fesetround(FE_UPWARD);
    const Tensor upward = div(one, add(one, 2.0));
    CHECK(nearest.item() == upward.item());  // kernels round to nearest all the same
    std::fesetenv(&before);
    CHECK(smallest / two > 0);  // denormals are the caller's own again
    CHECK(1 / three != 0);
    // Kernels flush them, whoever runs them.
    CHECK(mul(Tensor::full({1 << 18}, smallest, DType::float64), 0.5).to_vector<double>() ==
          std::vector<double>(1 << 18, 0.0));
  });
}

TEST_CASE("a child made by fork works with threads of its own") {
  with_threads([] {
    const Tensor x = Tensor::ones({1 << 18});
    CHECK(add(x, 1.0).to_vector<float>()[77] == 2);
    const pid_t child = fork();
    if (child == 0) _exit(add(x, 2.0).to_vector<float>()[77] == 3 ? 0 : 1);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  });
}

TEST_CASE("many threads of a program call at once") {
  with_threads([] {
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        const Tensor x = Tensor::full({1 << 16}, t);
        for (int i = 0; i < 50; ++i)
          if (add(x, i).to_vector<float>() !=
              std::vector<float>(1 << 16, static_cast<float>(t + i)))
            ++wrong;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  });
}

TEST_CASE("blocks of parallel_for cover every index once, whatever the threads") {
  with_threads([] {
    std::vector<int> hits(1001);
    cpu::parallel_for(1001, 7, [&](std::int64_t a, std::int64_t b) {
      for (std::int64_t i = a; i < b; ++i) ++hits[static_cast<std::size_t>(i)];
    });
    CHECK(hits == std::vector<int>(1001, 1));
  });
}

TEST_CASE("denormals are flushed in every thread") {
  std::vector<float> results(8, 1.0f);
  volatile float tiny = 1e-38f;
  cpu::parallel_for(8, 1, [&](std::int64_t a, std::int64_t) {
    results[static_cast<std::size_t>(a)] = tiny * 0.1f;
  });
  for (float r : results) CHECK(r == 0.0f);
}

TEST_SUITE_END();
