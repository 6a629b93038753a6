#include <doctest/doctest.h>
#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox.h>
#include <ebb/tensor/random/random.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "tests/worse.h"

using namespace ebb;

namespace {

template <class T>
std::vector<T> row(const Tensor& x, std::int64_t i) {
  const std::vector<T> all = x.to_vector<T>();
  const std::int64_t width = x.numel() / x.size(0);
  return {all.begin() + i * width, all.begin() + (i + 1) * width};
}

}  // namespace

TEST_SUITE("random") {
  TEST_CASE("Philox gives the known answers published with it (Random123, kat_vectors)") {
    CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
          PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    constexpr std::uint32_t ones = 0xffffffff;
    CHECK(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
          PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(
        philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  }

  TEST_CASE("a uniform is the top 24 bits of the word at its address") {
    const Tensor u = philox_uniform({2, 6}, {0x0123456789abcdef, Purpose::noise, 7, 41});
    const PhiloxCounter words = philox4x32_10({1, 42, 7, 4u << 28}, {0x89abcdef, 0x01234567});
    CHECK(row<float>(u, 1)[5] == static_cast<float>(words[1] >> 8) / 16777216.0f);
  }

  TEST_CASE("a row depends on its own address, not on its batch") {
    for (const std::int64_t width : {1, 3, 16, 50, 4096, 9001}) {
      const PhiloxAddress address{99, Purpose::start, 3, 10};
      const Tensor u = philox_uniform({5, width}, address), z = philox_normal({5, width}, address);
      const Tensor z64 = philox_normal({5, width}, address, DType::float64);
      const Tensor k = philox_integers({5, width}, -3, 1000, address);
      for (std::int64_t i = 0; i < 5; ++i) {
        PhiloxAddress one = address;
        one.first_sample += static_cast<std::uint64_t>(i);
        CHECK(philox_uniform({1, width}, one).to_vector<float>() == row<float>(u, i));
        CHECK(philox_normal({1, width}, one).to_vector<float>() == row<float>(z, i));
        CHECK(philox_normal({1, width}, one, DType::float64).to_vector<double>() ==
              row<double>(z64, i));
        CHECK(philox_integers({1, width}, -3, 1000, one).to_vector<std::int64_t>() ==
              row<std::int64_t>(k, i));
      }
      CHECK(row<float>(philox_normal({1, 2 * width}, address), 0)[width - 1] ==
            row<float>(z, 0)[width - 1]);
    }
  }

  TEST_CASE("every part of the address changes the numbers") {
    std::set<std::vector<float>> seen;
    int draws = 0;
    auto draw = [&](std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint64_t sample) {
      seen.insert(philox_uniform({1, 4}, {seed, purpose, step, sample}).to_vector<float>());
      ++draws;
    };
    for (const std::uint64_t x : {0ull, 1ull, 1ull << 31, 1ull << 32, 1ull << 43}) {
      if (x != 0) draw(x, Purpose::noise, 0, 0);
      if (x != 0) draw(0, Purpose::noise, x, 0);
      draw(0, Purpose::noise, 0, x);
    }
    for (int p = 0; p <= static_cast<int>(Purpose::other); ++p)
      if (static_cast<Purpose>(p) != Purpose::noise) draw(0, static_cast<Purpose>(p), 0, 0);
    CHECK(static_cast<int>(seen.size()) == draws);
  }

  TEST_CASE("the same bits for any number of threads") {
    const int before = thread_count();
    std::vector<std::vector<float>> normals, torch;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      normals.push_back(philox_normal({3, 20000}, {5, Purpose::noise}).to_vector<float>());
      torch.push_back(TorchGenerator(5).randn({20001}).to_vector<float>());
    }
    set_thread_count(before);
    for (int i : {1, 2}) {
      CHECK(normals[i] == normals[0]);
      CHECK(torch[i] == torch[0]);
    }
  }

  // With n = 10^6 fixed draws the bounds are five standard deviations or more.
  TEST_CASE("moments") {
    const std::int64_t n = 1000000;
    for (const DType dtype : {DType::float32, DType::float64}) {
      double mean = 0, square = 0, fourth = 0, lag = 0, before = 0;
      for (const double z : philox_normal({n}, {1}, dtype).to_vector<double>()) {
        mean += z / n, square += z * z / n, fourth += z * z * z * z / n, lag += z * before / n;
        before = z;
      }
      CHECK(std::abs(mean) < 0.005);
      CHECK(std::abs(square - 1) < 0.0075);
      CHECK(std::abs(fourth - 3) < 0.05);
      CHECK(std::abs(lag) < 0.005);
      double u_mean = 0, u_square = 0, least = 0, most = 0;
      for (const double u : philox_uniform({1, n}, {1}, dtype).to_vector<double>()) {
        u_mean += u / n, u_square += u * u / n;
        least = std::min(least, u), most = std::max(most, u);
      }
      CHECK(least >= 0);
      CHECK(most < 1);
      CHECK(std::abs(u_mean - 0.5) < 0.0015);
      CHECK(std::abs(u_square - 1.0 / 3) < 0.0015);
    }
    std::vector<int> counts(7);
    for (const std::int64_t k : philox_integers({70000}, -3, 4, {2}).to_vector<std::int64_t>())
      ++counts.at(static_cast<std::size_t>(k + 3));
    for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  }

  TEST_CASE("Box-Muller in float32 agrees with float64 on the corners and in between") {
    std::vector<float> edge;
    for (const float u : {0.0f, 0x1p-24f, 0.125f, 0.25f, 0.5f, 0.75f, 1 - 0x1p-24f}) {
      edge.push_back(u);
      if (u > 0) edge.push_back(u - 0x1p-24f);
    }
    PhiloxGenerator generator(3);
    for (const float u : generator.rand({300}).to_vector<float>()) edge.push_back(u);
    double worst = 0;
    for (const float u : edge) {
      for (const float v : edge) {
        float single[16] = {};
        single[3] = u, single[11] = v;
        box_muller(single, 16);
        const double radius = std::sqrt(-2 * std::log(1.0 - u));
        const double angle = 2 * std::numbers::pi * v;
        if (radius == 0) continue;
        worst = test::worse_of(worst, std::abs(single[3] / radius - std::cos(angle)));
        worst = test::worse_of(worst, std::abs(single[11] / radius - std::sin(angle)));
      }
    }
    CHECK(worst < 5e-7);
  }

  TEST_CASE("permutations hold every index once") {
    TorchGenerator torch(4);
    for (const std::int64_t n : {0, 1, 2, 17, 1000}) {
      for (const Tensor& order :
           {philox_permutation(n, {8, Purpose::data_order, 2}), torch.randperm(n)}) {
        std::vector<std::int64_t> sorted = order.to_vector<std::int64_t>();
        if (n == 1000) CHECK(!std::is_sorted(sorted.begin(), sorted.end()));
        std::sort(sorted.begin(), sorted.end());
        CHECK(sorted == Tensor::arange(n).to_vector<std::int64_t>());
      }
    }
    CHECK(philox_permutation(50, {8}).to_vector<std::int64_t>() !=
          philox_permutation(50, {9}).to_vector<std::int64_t>());
  }

  TEST_CASE("whole int64 range, empty shapes and scalars") {
    constexpr std::int64_t low = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t high = std::numeric_limits<std::int64_t>::max();
    std::int64_t negative = 0;
    for (const std::int64_t k : philox_integers({1000}, low, high, {3}).to_vector<std::int64_t>())
      negative += k < 0;
    CHECK(std::abs(negative - 500) < 80);
    for (const std::int64_t k : TorchGenerator(1).randint(low, high, {9}).to_vector<std::int64_t>())
      CHECK(k < high);
    CHECK(philox_normal({0, 3}, {1}).numel() == 0);
    CHECK(philox_normal({3, 0}, {1}).numel() == 0);
    CHECK(philox_normal({}, {1}).numel() == 1);
    CHECK(TorchGenerator(1).randn({0}).numel() == 0);
  }

  TEST_CASE("a generator's calls differ, and two of the same seed agree") {
    PhiloxGenerator a(7), b(7);
    const auto first = a.randn({20}).to_vector<float>();
    CHECK(first == b.randn({20}).to_vector<float>());
    CHECK(first != a.randn({20}).to_vector<float>());
    double ones = 0;
    for (const double x : a.bernoulli(0.25, {10000}).to_vector<double>()) ones += x;
    CHECK(std::abs(ones - 2500) < 220);
  }

  TEST_CASE("bad arguments are errors") {
    TorchGenerator torch(1);
    PhiloxGenerator philox(1);
    CHECK_THROWS_WITH_AS(torch.randint(5, 5, {2}),
                         "randint: [5, 5) is empty; low must be below high", Error);
    CHECK_THROWS_AS(philox.randint(5, 4, {2}), Error);
    CHECK_THROWS_AS(torch.randn({2}, DType::int64), Error);
    CHECK_THROWS_AS(philox.rand({2}, DType::int64), Error);
    CHECK_THROWS_AS(torch.bernoulli(1.5, {2}), Error);
    CHECK_THROWS_AS(torch.bernoulli(std::nan(""), {2}), Error);
    CHECK_THROWS_AS(torch.randperm(-1), Error);
    CHECK_THROWS_AS(philox.randperm(-1), Error);
    CHECK_THROWS_AS(torch.normal(0, -1, {2}), Error);
    CHECK_THROWS_AS(philox_uniform({2}, {0, Purpose::noise, 1ull << 44}), Error);
    CHECK_THROWS_AS(philox_uniform({2}, {0, Purpose::noise, 0, (1ull << 48) - 1}), Error);
  }
}
