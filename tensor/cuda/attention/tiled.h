// The operands of attention by tiles: a block has some rows of one head.
#pragma once

#include <ebb/tensor/cuda/attention/attention_kernels.h>
#include <ebb/tensor/cuda/attention/tile.h>
#include <ebb/tensor/cuda/launch.h>

#include <algorithm>

namespace ebb::cuda {

struct Inputs {
  Heads heads;
  const float *q, *k, *v, *grad;
  const float *largest, *totals;
  bool vector_q, vector_k, vector_v, vector_y;
  int tiles;  // of a head

  __device__ std::int64_t head() const { return blockIdx.x / static_cast<unsigned>(tiles); }
  __device__ int first(int rows) const {
    return static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles)) * rows;
  }
  __device__ int queries() const { return static_cast<int>(heads.queries); }
  __device__ int keys() const { return static_cast<int>(heads.keys); }
  __device__ int depth() const { return static_cast<int>(heads.depth); }
  __device__ int width() const { return static_cast<int>(heads.width); }

  __device__ Rows rows_q() const {
    return {q + place(heads, heads.q, head(), 0), heads.q.row, queries(), depth(), vector_q};
  }
  __device__ Rows rows_k() const {
    return {k + place(heads, heads.k, head(), 0), heads.k.row, keys(), depth(), vector_k};
  }
  __device__ Rows rows_v() const {
    return {v + place(heads, heads.v, head(), 0), heads.v.row, keys(), width(), vector_v};
  }
  __device__ Rows rows_g() const {
    return {grad + place(heads, heads.y, head(), 0), heads.y.row, queries(), width(), vector_y};
  }
  __device__ float scale() const { return float(heads.scale); }
};

// ---- On the host ----

// Whether rows can be read four neighbours at a time.
inline bool in_fours(const Tensor& x, const HeadRows& rows, std::int64_t width) {
  return (rows.first | rows.item | rows.head | rows.row | width) % 4 == 0 &&
         reinterpret_cast<std::uintptr_t>(x.raw()) % 16 == 0;
}

inline Inputs inputs_of(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v) {
  Inputs in{};
  in.heads = heads;
  in.q = input<float>(q);
  in.k = input<float>(k);
  in.v = input<float>(v);
  in.vector_q = in_fours(q, heads.q, heads.depth);
  in.vector_k = in_fours(k, heads.k, heads.depth);
  in.vector_v = in_fours(v, heads.v, heads.width);
  return in;
}

// Blocks for `count` rows of each head.
template <class Sizes, class... Parameters, class... Arguments>
void launch_tiles(const char* name, void (*kernel)(Inputs, Parameters...), Inputs in,
                  std::int64_t count, Arguments... arguments) {
  in.tiles = static_cast<int>((count + Sizes::rows - 1) / Sizes::rows);
  launch(name, kernel, static_cast<unsigned>(in.heads.count() * in.tiles), tile_threads,
         Sizes::floats * sizeof(float), in, arguments...);
}

// Calls run with the depth of tiles.
template <class Run>
void with_depth(const Heads& heads, const Run& run) {
  const std::int64_t depth = std::max(heads.depth, heads.width);
  if (depth <= 32) return run.template operator()<32>();
  if (depth <= 64) return run.template operator()<64>();
  run.template operator()<128>();
}

}  // namespace ebb::cuda
