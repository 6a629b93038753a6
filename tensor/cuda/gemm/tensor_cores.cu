// Products of float32 whose operands are rounded to bfloat16 or tf32, by the units that multiply
// whole matrices of those; sums are float32's.
#include <cuda_bf16.h>
#include <ebb/tensor/cuda/gemm/tile.h>
#include <mma.h>

namespace ebb::cuda {

namespace {

namespace wmma = nvcuda::wmma;

struct Bfloat16 {
  using Element = __nv_bfloat16;
  using Operand = __nv_bfloat16;
  static constexpr int step = 16;  // of k in one multiplication

  __device__ static Element rounded(float x) { return __float2bfloat16_rn(x); }
};
struct Tf32 {
  using Element = float;
  using Operand = wmma::precision::tf32;
  static constexpr int step = 8;

  __device__ static Element rounded(float x) { return wmma::__float_to_tf32(x); }
};

// A block has down x across warps side by side, each of which has squares of 16 x 16.
template <class Kind, int rows_, int columns_, int down, int across>
struct Units {
  using Element = typename Kind::Element;
  static constexpr int rows = rows_, columns = columns_, depth = 64 / int{sizeof(Element)};
  static constexpr int threads = 32 * down * across, blocks = 384 / threads;
  static constexpr int slices = down, slice_rows = rows / down, slice_columns = columns / across;
  static constexpr bool k_major = false;

  wmma::fragment<wmma::accumulator, 16, 16, Kind::step, float> sums[slice_rows / 16]
                                                                   [slice_columns / 16];

  __device__ static Element rounded(float x) { return Kind::rounded(x); }
  __device__ static void put_four(Element* to, const float* four) {
    struct alignas(4 * sizeof(Element)) Four {
      Element of[4];
    };
    *reinterpret_cast<Four*>(to) = {
        {rounded(four[0]), rounded(four[1]), rounded(four[2]), rounded(four[3])}};
  }
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  __device__ static int row() { return warp() / across * slice_rows; }
  __device__ static int column() { return warp() % across * slice_columns; }

  __device__ void clear() {
#pragma unroll
    for (auto& line : sums)
#pragma unroll
      for (auto& square : line) wmma::fill_fragment(square, 0.0f);
  }

  template <class A, class B>
  __device__ void multiply(const Element* a, const Element* b) {
    using AOrder = std::conditional_t<A::k_major, wmma::col_major, wmma::row_major>;
    using BOrder = std::conditional_t<B::k_major, wmma::row_major, wmma::col_major>;
#pragma unroll
    for (int l = 0; l < depth; l += Kind::step) {
      wmma::fragment<wmma::matrix_b, 16, 16, Kind::step, typename Kind::Operand, BOrder>
          y[slice_columns / 16];
#pragma unroll
      for (int j = 0; j < slice_columns / 16; ++j)
        wmma::load_matrix_sync(y[j], B::at(b, column() + 16 * j, l), B::pitch);
#pragma unroll
      for (int i = 0; i < slice_rows / 16; ++i) {
        wmma::fragment<wmma::matrix_a, 16, 16, Kind::step, typename Kind::Operand, AOrder> x;
        wmma::load_matrix_sync(x, A::at(a, row() + 16 * i, l), A::pitch);
#pragma unroll
        for (int j = 0; j < slice_columns / 16; ++j)
          wmma::mma_sync(sums[i][j], x, y[j], sums[i][j]);
      }
    }
  }

  __device__ void give(int slice, float* to) const {
    if (row() != slice * slice_rows) return;
#pragma unroll
    for (int i = 0; i < slice_rows / 16; ++i)
#pragma unroll
      for (int j = 0; j < slice_columns / 16; ++j)
        wmma::store_matrix_sync(to + 16 * i * sum_pitch<Units> + column() + 16 * j, sums[i][j],
                                sum_pitch<Units>, wmma::mem_row_major);
  }
};

template <class Kind>
void by_units(const Product<float>& p) {
  product_by_tiles<Units<Kind, 128, 64, 2, 2>, Units<Kind, 32, 32, 1, 2>>(p);
}

}  // namespace

void rounded_product(const Product<float>& p, Precision precision) {
  precision == Precision::bfloat16 ? by_units<Bfloat16>(p) : by_units<Tf32>(p);
}

}  // namespace ebb::cuda
