// The emulated GPU's products of small matrices.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <mma.h>

#include "tests/cuda_emulation/emulation.h"
#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

namespace wmma = nvcuda::wmma;

template <class T, int k, class A, class B>
__global__ void multiply_small(const float* a, unsigned a_stride, const float* b, unsigned b_stride,
                               float* c) {
  using Part = typename wmma::fragment<wmma::matrix_a, 16, 16, k, T, A>::storage_element_type;
  alignas(32) static thread_local Part parts[2][256];
  const auto rounded = [](float x) {
    if constexpr (std::is_same_v<Part, float>)
      return wmma::__float_to_tf32(x);
    else
      return __float2bfloat16_rn(x);
  };
  for (unsigned i = threadIdx.x; i < 16 * k; i += 32) {
    parts[0][i] = rounded(a[i]);
    parts[1][i] = rounded(b[i]);
  }
  __syncwarp();
  wmma::fragment<wmma::matrix_a, 16, 16, k, T, A> x;
  wmma::fragment<wmma::matrix_b, 16, 16, k, T, B> y;
  wmma::fragment<wmma::accumulator, 16, 16, k, float> sum;
  wmma::fill_fragment(sum, 1.0f);
  wmma::load_matrix_sync(x, parts[0], a_stride);
  wmma::load_matrix_sync(y, parts[1], b_stride);
  wmma::mma_sync(sum, x, y, sum);
  wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
}

template <class T, int k, class A, class B>
void check_small() {
  constexpr bool rows_a = std::is_same_v<A, wmma::row_major>;
  constexpr bool rows_b = std::is_same_v<B, wmma::row_major>;
  const auto small = [](const Tensor& x) { return mul(x, 128).to(DType::int64).to(x.dtype()); };
  const Tensor a = small(numbers({16, k})), b = small(numbers({k, 16}, DType::float32, 5));
  const Tensor far_a = (rows_a ? a : permute(a, {1, 0})).to(Device::cuda);
  const Tensor far_b = (rows_b ? b : permute(b, {1, 0})).to(Device::cuda);
  Tensor c = Tensor::empty({16, 16}, DType::float32, Device::cuda);
  const KernelScope scope(Device::cuda);
  cuda::launch("multiply_small", multiply_small<T, k, A, B>, 1, 32, 0, input<float>(far_a),
               rows_a ? unsigned{k} : 16u, input<float>(far_b), rows_b ? 16u : unsigned{k},
               output<float>(c));
  CHECK(relative_error(c.to(Device::cpu), matmul(a, b) + 1.0) == 0);
}

TEST_CASE("cuda emulation: a warp's products of small matrices, whichever way they lie") {
  using Rows = wmma::row_major;
  using Columns = wmma::col_major;
  check_small<__nv_bfloat16, 16, Rows, Rows>();
  check_small<__nv_bfloat16, 16, Rows, Columns>();
  check_small<__nv_bfloat16, 16, Columns, Rows>();
  check_small<wmma::precision::tf32, 8, Rows, Columns>();
  check_small<wmma::precision::tf32, 8, Columns, Rows>();
}

TEST_CASE("cuda emulation: operands are rounded as the hardware does") {
  const auto bfloat = [](float x) { return __bfloat162float(__float2bfloat16_rn(x)); };
  CHECK(bfloat(1 + 0x1p-8f) == 1.0f);  // of two equally near ones the even one
  CHECK(bfloat(1 + 0x3p-8f) == 1 + 0x1p-6f);
  CHECK(bfloat(-1 - 0x1.1p-8f) == -1 - 0x1p-7f);
  CHECK(bfloat(3.4e38f) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(bfloat(std::nanf(""))));
  CHECK(wmma::__float_to_tf32(1 + 0x1p-11f) == 1 + 0x1p-10f);  // the larger one
  CHECK(wmma::__float_to_tf32(-1 - 0x0.fp-11f) == -1);
  CHECK(wmma::__float_to_tf32(-std::numeric_limits<float>::infinity()) ==
        -std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace ebb
