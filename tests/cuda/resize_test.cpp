// Pooling and resizing on a GPU against the reference.
#include <doctest/doctest.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>

#include <cstring>
#include <limits>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

struct PooledRow {
  Shape shape;
  Pool2dOptions options;
};
const std::vector<PooledRow> pooled_rows{{{2, 6, 8, 5}, {}},
                                         {{1, 5, 6, 3}, {{3, 2}, {2, 1}, {1, 1}}},
                                         {{3, 7, 5, 1}, {{3, 3}, {1, 1}, {1, 1}}},
                                         {{1, 9, 9, 4}, {{2, 3}, {5, 4}, {0, 1}}},
                                         {{2, 1, 1, 7}, {{1, 1}, {1, 1}, {0, 0}}},
                                         {{1, 17, 13, 40}, {{5, 4}, {2, 3}, {2, 2}}},
                                         {{0, 4, 4, 2}, {}}};

bool same_memory(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.numel() * size_of(a.dtype())) == 0;
}

// Numbers with ties, NaN and infinities.
template <class T>
Tensor awkward(const Shape& shape) {
  std::vector<T> x(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t at = i * i * 7 % 31;
    x[i] = at < 3    ? std::numeric_limits<T>::quiet_NaN()
           : at == 3 ? std::numeric_limits<T>::infinity()
           : at < 9  ? -std::numeric_limits<T>::infinity()
                     : static_cast<T>(at / 4);
  }
  return Tensor::from<T>(x, shape);
}

TEST_CASE("cuda: maxima over windows and their gradients are the reference's") {
  for (const PooledRow& row : pooled_rows) {
    CAPTURE(row.shape.str());
    for (const DType dtype : {DType::float32, DType::float64})
      for (const Tensor& x :
           {numbers(row.shape, dtype),
            dtype == DType::float32 ? awkward<float>(row.shape) : awkward<double>(row.shape)}) {
        const Tensor want = max_pool2d(x.to(Device::reference), row.options).to(Device::cpu);
        const Tensor grad = numbers(want.shape(), dtype, 5);
        CHECK(same_memory(max_pool2d(x.to(Device::cuda), row.options).to(Device::cpu), want));
        CHECK(same_memory(
            max_pool2d_backward(grad.to(Device::cuda), x.to(Device::cuda), row.options)
                .to(Device::cpu),
            max_pool2d_backward(grad.to(Device::reference), x.to(Device::reference), row.options)
                .to(Device::cpu)));
      }
  }
}

TEST_CASE("cuda: averages over windows and resizing are the reference's, and so their adjoints") {
  const auto near = [](const Tensor& got, const Tensor& want, DType dtype) {
    CHECK(got.shape() == want.shape());
    CHECK(relative_error(got.to(Device::cpu), want.to(Device::cpu)) <=
          (dtype == DType::float32 ? 1e-6 : 1e-15));
  };
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const PooledRow& row : pooled_rows) {
      CAPTURE(row.shape.str());
      const Tensor x = numbers(row.shape, dtype);
      const Tensor want = avg_pool2d(x.to(Device::reference), row.options);
      near(avg_pool2d(x.to(Device::cuda), row.options), want, dtype);
      const Tensor grad = numbers(want.shape(), dtype, 3);
      near(avg_pool2d_backward(grad.to(Device::cuda), row.shape, row.options),
           avg_pool2d_backward(grad.to(Device::reference), row.shape, row.options), dtype);
    }
    for (const Interpolation mode : {Interpolation::nearest, Interpolation::bilinear})
      for (const auto& [height, width] : {Pair{1, 1}, {3, 8}, {14, 9}, {7, 5}})
        for (const Shape& shape :
             {Shape{2, 7, 5, 3}, {1, 1, 1, 4}, {1, 12, 30, 17}, {0, 2, 2, 1}}) {
          CAPTURE(shape.str());
          const Tensor x = numbers(shape, dtype);
          const Tensor want = interpolate(x.to(Device::reference), height, width, mode);
          near(interpolate(x.to(Device::cuda), height, width, mode), want, dtype);
          const Tensor grad = numbers(want.shape(), dtype, 3);
          near(interpolate_backward(grad.to(Device::cuda), shape, mode),
               interpolate_backward(grad.to(Device::reference), shape, mode), dtype);
        }
  }
}

TEST_CASE("cuda: resizing lets NaN and infinities through as the reference does") {
  const Tensor x = awkward<float>({1, 9, 8, 3});
  const auto kinds = [&](Device device) {
    const Tensor y = interpolate(x.to(device), 13, 11, Interpolation::bilinear).to(Device::cpu);
    return values(equal(y, y) + less_equal(abs(y), 1e30));
  };
  CHECK(kinds(Device::cuda) == kinds(Device::reference));
}

}  // namespace
}  // namespace ebb
