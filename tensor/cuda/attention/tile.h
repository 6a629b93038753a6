// What a block of attention's kernels does with tiles of rows in shared memory.
//
// A tile has its rows side by side, each padded by zeros to `depth` numbers and a few more, which
// spread rows over the banks. The block is 8 by 16 threads: of a product of two tiles' rows a
// thread has the elements (ty + 8 i, tx + 16 j); of a sum of rows it has row ty + 8 i and the
// columns of column<depth>(c). All that one row of the result needs is with 16 lanes of one warp.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ebb::cuda {

constexpr int tile_threads = 128, across = 16, down = tile_threads / across;

template <int depth>
constexpr int pitch = depth + 4;
template <int rows, int depth>
constexpr int tile_size = rows* pitch<depth>;

__device__ inline int tx() { return static_cast<int>(threadIdx.x) % across; }
__device__ inline int ty() { return static_cast<int>(threadIdx.x) / across; }

// Over the threads of one ty; the same for all of them.
__device__ inline float sum_across(float mine) {
  for (int lanes = across / 2; lanes > 0; lanes /= 2) mine += __shfl_xor_sync(~0u, mine, lanes);
  return mine;
}
__device__ inline float largest_across(float mine) {
  for (int lanes = across / 2; lanes > 0; lanes /= 2)
    mine = fmaxf(mine, __shfl_xor_sync(~0u, mine, lanes));
  return mine;
}

// Rows of one head in global memory. `vector`: fours are aligned and there or not there as a whole.
struct Rows {
  const float* data;
  std::int64_t stride;
  int count, width;
  bool vector;
};

// factor times rows first, first + 1, ..., zeros beyond the end.
template <int rows, int depth, bool vector>
__device__ void load_fours(const Rows& x, int first, float factor, float* tile) {
  constexpr int fours = depth / 4, step = tile_threads / fours;
  const int c = static_cast<int>(threadIdx.x) % fours * 4;
  int row = static_cast<int>(threadIdx.x) / fours;
  const float* from = x.data + (first + row) * x.stride + c;
#pragma unroll 4
  for (; row < rows; row += step, from += step * x.stride) {
    const int left = first + row < x.count ? x.width - c : 0;
    float4 four = make_float4(0, 0, 0, 0);
    if constexpr (vector) {
      if (left > 0) four = *reinterpret_cast<const float4*>(from);
    } else {
      if (left > 0) four.x = from[0];
      if (left > 1) four.y = from[1];
      if (left > 2) four.z = from[2];
      if (left > 3) four.w = from[3];
    }
    *reinterpret_cast<float4*>(tile + row * pitch<depth> + c) =
        make_float4(factor * four.x, factor * four.y, factor * four.z, factor * four.w);
  }
}
template <int rows, int depth>
__device__ void load_rows(const Rows& x, int first, float factor, float* tile) {
  x.vector ? load_fours<rows, depth, true>(x, first, factor, tile)
           : load_fours<rows, depth, false>(x, first, factor, tile);
}

// products[i][j] = row ty + 8 i of a times row tx + 16 j of b, summed in one order wherever it is
// made: forward's scores are backward's.
template <int depth, int n, int m>
__device__ void multiply_rows(const float* a, const float* b, float (&products)[n][m]) {
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < m; ++j) products[i][j] = 0;
  a += ty() * pitch<depth>;
  b += tx() * pitch<depth>;
#pragma unroll 4
  for (int d = 0; d < depth; d += 4) {
    float4 y[m];
#pragma unroll
    for (int j = 0; j < m; ++j)
      y[j] = *reinterpret_cast<const float4*>(b + across * j * pitch<depth> + d);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const float4 x = *reinterpret_cast<const float4*>(a + down * i * pitch<depth> + d);
#pragma unroll
      for (int j = 0; j < m; ++j) {
        products[i][j] += x.x * y[j].x;
        products[i][j] += x.y * y[j].y;
        products[i][j] += x.z * y[j].z;
        products[i][j] += x.w * y[j].w;
      }
    }
  }
}

// The weights of `count` rows for each row of the result, into a tile: only lanes of this warp read
// what it writes. The block has waited since they read what was there.
template <int count, int n, int m>
__device__ void put_weights(const float (&weights)[n][m], float* tile) {
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < m; ++j)
      tile[(ty() + down * i) * pitch<count> + tx() + across * j] = weights[i][j];
  __syncwarp();
}

template <int depth>
__device__ int column(int c) {
  return depth == 32 ? tx() * 2 + c : c / 4 * 64 + tx() * 4 + c % 4;
}

// sums[i] += the rows of x by weights' row ty + 8 i.
template <int count, int depth, int n>
__device__ void add_rows(const float* weights, const float* x, float (&sums)[n][depth / across]) {
  weights += ty() * pitch<count>;
#pragma unroll 2
  for (int j = 0; j < count; j += 4) {
    float rows[4][depth / across];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float* const row = x + (j + e) * pitch<depth>;
      if constexpr (depth == 32) {
        const float2 two = *reinterpret_cast<const float2*>(row + column<depth>(0));
        rows[e][0] = two.x;
        rows[e][1] = two.y;
      } else {
#pragma unroll
        for (int c = 0; c < depth / across; c += 4) {
          const float4 four = *reinterpret_cast<const float4*>(row + column<depth>(c));
          rows[e][c] = four.x;
          rows[e][c + 1] = four.y;
          rows[e][c + 2] = four.z;
          rows[e][c + 3] = four.w;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const float4 w = *reinterpret_cast<const float4*>(weights + down * i * pitch<count> + j);
#pragma unroll
      for (int c = 0; c < depth / across; ++c) {
        sums[i][c] += w.x * rows[0][c];
        sums[i][c] += w.y * rows[1][c];
        sums[i][c] += w.z * rows[2][c];
        sums[i][c] += w.w * rows[3][c];
      }
    }
  }
}

// Writes factor sums[i] to row first + ty + 8 i of `to`, as far as it is there.
template <int depth, int n>
__device__ void write_rows(const float (&sums)[n][depth / across], float factor, int first,
                           int count, int width, std::int64_t stride, float* to) {
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const int row = first + ty() + down * i;
    if (row >= count) continue;
#pragma unroll
    for (int c = 0; c < depth / across; ++c)
      if (column<depth>(c) < width) to[row * stride + column<depth>(c)] = factor * sums[i][c];
  }
}

template <int n, int m>
__device__ void clear(float (&sums)[n][m]) {
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int c = 0; c < m; ++c) sums[i][c] = 0;
}

}  // namespace ebb::cuda
