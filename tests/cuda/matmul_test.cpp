// Products of matrices and eigenvalues on the emulated GPU.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/cuda/gemm/cublaslt.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/symmetric_eigen.h>
#include <ebb/tensor/precision.h>

#include <numbers>

#include "tests/cuda_emulation/emulation.h"
#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

struct ProductRow {
  std::int64_t count, m, n, k;
};

// Sizes that tiles of 16 to 128 cross, and some that they do not.
const std::vector<ProductRow> product_rows{
    {1, 1, 1, 1},    {2, 3, 5, 7}, {1, 37, 65, 33}, {3, 33, 32, 16}, {1, 129, 67, 20},
    {1, 130, 64, 4}, {0, 3, 3, 3}, {2, 0, 3, 3},    {2, 3, 0, 3},    {2, 3, 4, 0}};

double product_tolerance(DType dtype) { return dtype == DType::float32 ? 1e-6 : 1e-14; }

void check_product(const Tensor& far, const Tensor& want) {
  const Tensor got = far.to(Device::cpu);
  REQUIRE(got.shape() == want.shape());
  if (want.numel() == 0) return;
  if (values(amax(abs(want)))[0] == 0)
    CHECK(values(amax(abs(got)))[0] == 0);
  else
    CHECK(relative_error(got, want) < product_tolerance(want.dtype()));
}

TEST_CASE("cuda: bmm is the reference's") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [count, m, n, k] : product_rows)
      for (const bool trans_a : {false, true})
        for (const bool trans_b : {false, true}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(trans_a);
          CAPTURE(trans_b);
          const Tensor a = numbers(trans_a ? Shape{count, k, m} : Shape{count, m, k}, dtype, 3);
          const Tensor b = numbers(trans_b ? Shape{count, n, k} : Shape{count, k, n}, dtype, 5);
          const auto product = [&](Device device) {
            return bmm(a.to(device), b.to(device), trans_a, trans_b);
          };
          check_product(product(Device::cuda), product(Device::reference).to(Device::cpu));
        }
}

TEST_CASE("cuda: linear is the reference's") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [count, m, n, k] : product_rows)
      for (const bool biased : {false, true}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        const Tensor x = numbers({count, m, k}, dtype, 3), weight = numbers({n, k}, dtype, 5);
        const Tensor bias = biased ? numbers({n}, dtype, 7) : Tensor();
        const auto product = [&](Device device) {
          return linear(x.to(device), weight.to(device), biased ? bias.to(device) : Tensor());
        };
        check_product(product(Device::cuda), product(Device::reference).to(Device::cpu));
      }
}

struct PrecisionScope {
  explicit PrecisionScope(Precision one) { set_precision(one); }
  ~PrecisionScope() { set_precision(Precision::float32); }
};

// On the two multiprocessors of the emulated GPU 2 x 130 rows are large tiles, 130 are large tiles
// in chunks of k, and fewer are small ones.
TEST_CASE("cuda: a row's bits depend neither on the number of rows nor on the batch") {
  const std::int64_t n = 5;
  for (const auto& [precision, k] : {std::pair{Precision::float32, std::int64_t{40}},
                                     std::pair{Precision::float32, std::int64_t{1040}},
                                     std::pair{Precision::bfloat16, std::int64_t{1040}},
                                     std::pair{Precision::tf32, std::int64_t{40}}}) {
    CAPTURE(k);
    const PrecisionScope scope(precision);
    const Tensor a = numbers({2, 130, k}, DType::float32, 3), b = numbers({2, k, n});
    const Tensor bias = numbers({n});
    const Tensor whole = bmm(a.to(Device::cuda), b.to(Device::cuda)).to(Device::cpu);
    if (precision == Precision::float32)
      CHECK(relative_error(whole,
                           bmm(a.to(Device::reference), b.to(Device::reference)).to(Device::cpu)) <
            3e-6);
    const Tensor b1 = select(b, 0, 1), far_b = b1.to(Device::cuda);
    for (const std::int64_t m : {1, 33, 130}) {
      CAPTURE(m);
      const auto rows = [&](const Tensor& x) { return slice(select(x, 0, 1), 0, 130 - m, 130); };
      const Tensor part = rows(a);
      const std::vector<double> want = values(rows(whole));
      CHECK(values(matmul(part.to(Device::cuda), far_b).to(Device::cpu)) == want);
      if (m == 130) continue;
      const Tensor turned = transpose(part, 0, 1).to(Device::cuda);
      CHECK(values(bmm(turned, far_b, true).to(Device::cpu)) == want);
      const Tensor weight = transpose(b1, 0, 1).to(Device::cuda);
      const Tensor y = linear(part.to(Device::cuda), weight, bias.to(Device::cuda));
      CHECK(values(y.to(Device::cpu)) == values(rows(whole) + bias));
    }
  }
}

struct LibraryScope {
  explicit LibraryScope(bool on) { cuda::set_library_products(on); }
  ~LibraryScope() { cuda::set_library_products(false); }
};

// To the nearest number with so many bits of mantissa less than float32 has.
Tensor with_less_mantissa(const Tensor& x, int bits) {
  Tensor y = x.clone();
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    float& value = y.mutable_data<float>()[i];
    const float far = value * static_cast<float>((1 << bits) + 1);
    value = far - (far - value);  // Dekker's splitting
  }
  return y;
}

TEST_CASE("cuda: products whose operands are rounded are those of rounded operands") {
  for (const auto& [precision, less] :
       {std::pair{Precision::bfloat16, 16}, std::pair{Precision::tf32, 13}})
    for (const bool library : {false, true})
      for (const auto& [count, m, n, k] : product_rows)
        for (const bool trans_a : {false, true})
          for (const bool trans_b : {false, true}) {
            CAPTURE(less);
            CAPTURE(library);
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            CAPTURE(trans_a);
            CAPTURE(trans_b);
            const Tensor a = numbers(trans_a ? Shape{count, k, m} : Shape{count, m, k});
            const Tensor b = numbers(trans_b ? Shape{count, n, k} : Shape{count, k, n});
            const PrecisionScope precise(precision);
            const LibraryScope scope(library);
            const auto product = [&](Device device, const Tensor& x, const Tensor& y) {
              return bmm(x.to(device), y.to(device), trans_a, trans_b);
            };
            check_product(
                product(Device::cuda, a, b),
                product(Device::reference, with_less_mantissa(a, less), with_less_mantissa(b, less))
                    .to(Device::cpu));
          }
}

TEST_CASE("cuda: products by the library, where it is asked for") {
  CHECK(!cuda::library_products());
  const LibraryScope scope(true);
  for (const auto& [count, m, n, k] : product_rows)
    for (const bool trans_a : {false, true})
      for (const bool trans_b : {false, true}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        const Tensor a = numbers(trans_a ? Shape{count, k, m} : Shape{count, m, k});
        const Tensor b = numbers(trans_b ? Shape{count, n, k} : Shape{count, k, n});
        const Tensor bias = numbers({n});
        const auto product = [&](Device device) {
          return bmm(a.to(device), b.to(device), trans_a, trans_b);
        };
        const auto before = emulation::counts();
        check_product(product(Device::cuda), product(Device::reference).to(Device::cpu));
        const auto after = emulation::counts();
        if (emulation::present())
          CHECK(after.library_products - before.library_products ==
                (count * m * n * k > 0 ? 1 : 0));
        if (trans_a || !trans_b || count == 0) continue;
        const auto biased = [&](Device device) {
          const Tensor weight = slice(b, 0, 0, 1).reshape(Shape{n, k});
          return linear(a.to(device), weight.to(device), bias.to(device));
        };
        check_product(biased(Device::cuda), biased(Device::reference).to(Device::cpu));
      }
}

// By the entry itself: ascending values, eigenvectors as rows.
std::pair<Tensor, Tensor> eigen_of(const Tensor& a) {
  Tensor rows = a.to(Device::cuda).clone();
  Tensor values = Tensor::empty({a.size(0)}, DType::float64, Device::cuda);
  const Device device = Device::cuda;
  use("symmetric_eigen", device, kernels(device).symmetric_eigen)(rows, values);
  return {values.to(Device::cpu), rows.to(Device::cpu)};
}

TEST_CASE("cuda: eigenvalues and vectors of a symmetric matrix") {
  for (const std::int64_t n : {1, 2, 9, 40, 71}) {
    CAPTURE(n);
    // Of rank n / 2 from 40 on: many zero eigenvalues.
    const Tensor x = numbers({n, n >= 40 ? n / 2 : n}, DType::float64);
    const Tensor a = matmul(x, transpose(x, 0, 1));
    const Eigen want = symmetric_eigen(a);
    const auto [got, rows] = eigen_of(a);
    CHECK(relative_error(got, want.values) < 1e-13);
    CHECK(values(sort(got, 0)) == values(got));
    const Tensor v = transpose(rows, 0, 1);
    CHECK(relative_error(matmul(a, v), v * want.values) < 1e-12);
    Tensor identity = matmul(rows, v);
    for (std::int64_t i = 0; i < n; ++i) identity.mutable_data<double>()[i * (n + 1)] -= 1;
    CHECK(values(amax(abs(identity)))[0] < 1e-13);
  }
}

TEST_CASE("cuda: the lower triangle of a symmetric matrix is read") {
  for (const std::int64_t n : {0, 1, 2, 12, 31}) {
    Tensor a = Tensor::zeros({n, n}, DType::float64);
    double* m = a.mutable_data<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      m[i * n + i] = 2;
      if (i > 0) m[i * n + i - 1] = -1;
    }
    const std::vector<double> got = values(eigen_of(a).first);
    REQUIRE(got.size() == static_cast<std::size_t>(n));
    for (std::int64_t k = 1; k <= n; ++k)
      CHECK(std::abs(got[static_cast<std::size_t>(k - 1)] -
                     (2 - 2 * std::cos(std::numbers::pi * static_cast<double>(k) /
                                       static_cast<double>(n + 1)))) < 1e-13);
  }
}

}  // namespace
}  // namespace ebb
