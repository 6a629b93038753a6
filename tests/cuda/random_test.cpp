// Random numbers of a GPU: the CPU's, bit by bit.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/random/random.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// Of rows narrower than a block, at the edges of Box-Muller's 16, and of the CPU's pieces of 4096.
const std::vector<Shape> drawn{{},      {0},       {3, 0},    {3, 1},    {1, 5},   {2, 16},
                               {4, 17}, {2, 4096}, {2, 5000}, {3, 5, 7}, {700, 3}, {5, 2, 15}};

TEST_CASE("cuda: random numbers have the CPU's bits") {
  const std::vector<PhiloxAddress> addresses{
      {1, Purpose::noise, 7, 2},
      {0xfedcba9876543210u, Purpose::other, (std::uint64_t{1} << 44) - 1, std::uint64_t{1} << 40},
      {}};
  for (const Shape& shape : drawn)
    for (const PhiloxAddress& address : addresses) {
      CAPTURE(shape.str());
      for (const DType dtype : {DType::float32, DType::float64})
        for (const auto draw : {philox_uniform, philox_normal}) {
          const Tensor got = draw(shape, address, dtype, Device::cuda);
          CHECK(got.dtype() == dtype);
          CHECK(got.device() == Device(Device::cuda));
          CHECK(values(got.to(Device::cpu)) == values(draw(shape, address, dtype, Device::cpu)));
        }
      for (const auto& [low, high] : {std::pair<std::int64_t, std::int64_t>{-4, 9},
                                      {0, 1},
                                      {INT64_MIN, INT64_MAX},
                                      {-7, std::int64_t{1} << 40}})
        CHECK(philox_integers(shape, low, high, address, Device::cuda)
                  .to(Device::cpu)
                  .to_vector<std::int64_t>() ==
              philox_integers(shape, low, high, address).to_vector<std::int64_t>());
    }
}

TEST_CASE("cuda: Box-Muller in place has the CPU's bits") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t count : {0, 16, 48, 16 * 301}) {
      CAPTURE(count);
      const Tensor x = philox_uniform({count}, {5}, dtype);
      Tensor here = x.clone(), there = x.to(Device::cuda);
      use("box_muller", Device::cpu, kernels(Device::cpu).box_muller)(here);
      use("box_muller", Device::cuda, kernels(Device::cuda).box_muller)(there);
      CHECK(values(there.to(Device::cpu)) == values(here));
    }
}

}  // namespace
}  // namespace ebb
