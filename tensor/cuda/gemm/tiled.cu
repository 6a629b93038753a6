// Products of float32 by multiplications and additions of float32.
#include <ebb/tensor/cuda/gemm/tile.h>

namespace ebb::cuda {

namespace {

// A thread has each^2 elements of the tile, in squares of four by four that lie half a tile apart.
template <int rows_, int columns_, int each>
struct Scalars {
  using Element = float;
  static constexpr int rows = rows_, columns = columns_, depth = 64 / each;  // what registers hold
  static constexpr int threads = rows / each * columns / each, squares = each / 4;
  static constexpr int blocks = each == 8 ? 4 : 8;  // at once on a multiprocessor
  static constexpr int slices = squares, slice_rows = rows / slices;
  static constexpr bool k_major = true;

  float sums[each][each];

  __device__ static float rounded(float x) { return x; }
  __device__ static void put_four(float* to, const float* four) {
    *reinterpret_cast<float4*>(to) = make_float4(four[0], four[1], four[2], four[3]);
  }
  // Of this thread's first element.
  __device__ static int row() { return static_cast<int>(threadIdx.x) / (columns / each) * 4; }
  __device__ static int column() { return static_cast<int>(threadIdx.x) % (columns / each) * 4; }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < each; ++i)
#pragma unroll
      for (int j = 0; j < each; ++j) sums[i][j] = 0;
  }

  template <int distance>
  __device__ static void get(const float* from, float* values) {
#pragma unroll
    for (int i = 0; i < squares; ++i) {
      const float4 four = *reinterpret_cast<const float4*>(from + i * distance);
      values[4 * i] = four.x;
      values[4 * i + 1] = four.y;
      values[4 * i + 2] = four.z;
      values[4 * i + 3] = four.w;
    }
  }

  template <class A, class B>
  __device__ void multiply(const float* a, const float* b) {
#pragma unroll
    for (int l = 0; l < depth; ++l) {
      float x[each], y[each];
      get<rows / squares>(a + l * A::pitch + row(), x);
      get<columns / squares>(b + l * B::pitch + column(), y);
#pragma unroll
      for (int i = 0; i < each; ++i)
#pragma unroll
        for (int j = 0; j < each; ++j) sums[i][j] += x[i] * y[j];
    }
  }

  __device__ void give(int slice, float* to) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < squares; ++j)
        put_four(to + (row() + i) * sum_pitch<Scalars> + j * (columns / squares) + column(),
                 &sums[4 * slice + i][4 * j]);
  }
};

__global__ void add_chunks_kernel(const Product<float> p, const Tiling t) {
  const std::int64_t n = p.count * p.m * p.n;
  for (std::int64_t i = thread_index(); i < n; i += thread_count()) {
    float sum = t.parts[i];
    for (std::int64_t c = 1; c < t.chunks; ++c) sum += t.parts[c * n + i];
    p.out[i] = p.bias == nullptr ? sum : sum + p.bias[i % p.n];
  }
}

}  // namespace

void add_chunks(const Product<float>& p, const Tiling& t) {
  launch("product", add_chunks_kernel, blocks_for(p.count * p.m * p.n), block_threads, 0, p, t);
}

void tiled_product(const Product<float>& p) {
  product_by_tiles<Scalars<128, 64, 8>, Scalars<32, 32, 4>>(p);
}

}  // namespace ebb::cuda
