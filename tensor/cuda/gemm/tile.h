// Products of float32 matrices, a tile of the result a block: panels of a and b, `depth` of k at a
// time, pass through shared memory, the next ones on their way while the block multiplies.
//
// The sum over k is made in chunks, whose length depends on k alone: within a chunk in k's order,
// then chunk after chunk, then the bias. So an element's bits depend neither on the tile that it is
// in nor on whether one block or several make its chunks.
#pragma once

#include <ebb/tensor/cuda/gemm/product.h>
#include <ebb/tensor/cuda/launch.h>

#include <algorithm>

namespace ebb::cuda {

// `rows` rows of a (or columns of b) by `depth` of k. `along_k`: neighbours in global memory are
// neighbours in k; `k_major`: in shared memory they are neighbours in the rows.
template <class Engine, int rows, bool along_k>
struct Panel {
  using Element = typename Engine::Element;
  static constexpr bool k_major = Engine::k_major || !along_k;
  static constexpr int depth = Engine::depth;
  static constexpr int pitch = (k_major ? rows : depth) + 16 / int{sizeof(Element)};
  static constexpr int size = (k_major ? depth : rows) * pitch;
  static constexpr int pieces = rows * depth / 4 / Engine::threads;
  static_assert(pieces * 4 * Engine::threads == rows * depth);

  float held[pieces][4];  // on their way

  // A piece is four neighbours; a line of them lies together in global memory. The block's threads
  // take `lines` lines at a time.
  static constexpr int in_line = (along_k ? depth : rows) / 4, lines = Engine::threads / in_line;
  static_assert(lines * in_line == Engine::threads);
  __device__ static int line(int piece) {
    return static_cast<int>(threadIdx.x) / in_line + piece * lines;
  }
  __device__ static int place() { return static_cast<int>(threadIdx.x) % in_line * 4; }

  // From the corner x, of which only so many rows and so much of k is there; the rest is 0.
  // `vector`: fours are aligned and there or not there as a whole.
  __device__ void load(const float* x, std::int64_t stride, int rows_left, int k_left,
                       bool vector) {
    if (vector)
      load_pieces<true>(x, stride, rows_left, k_left);
    else
      load_pieces<false>(x, stride, rows_left, k_left);
  }
  template <bool vector>
  __device__ void load_pieces(const float* x, std::int64_t stride, int rows_left, int k_left) {
    const float* const first = x + line(0) * stride + place();
#pragma unroll
    for (int piece = 0; piece < pieces; ++piece) {
      const bool there = line(piece) < (along_k ? rows_left : k_left);
      const int left = there ? (along_k ? k_left : rows_left) - place() : 0;
      const float* const from = first + piece * lines * stride;
      if constexpr (vector) {
        const float4 four =
            left > 0 ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
        held[piece][0] = four.x;
        held[piece][1] = four.y;
        held[piece][2] = four.z;
        held[piece][3] = four.w;
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) held[piece][e] = e < left ? from[e] : 0;
      }
    }
  }
  // Of (row, l) in shared memory.
  __device__ static auto* at(auto* shared, int row, int l) {
    return shared + (k_major ? l * pitch + row : row * pitch + l);
  }
  __device__ void put(Element* shared) const {
#pragma unroll
    for (int piece = 0; piece < pieces; ++piece) {
      const int row = along_k ? line(piece) : place(), l = along_k ? place() : line(piece);
      if constexpr (k_major == along_k) {
#pragma unroll
        for (int e = 0; e < 4; ++e) *at(shared, row, l + e) = Engine::rounded(held[piece][e]);
      } else {
        Engine::put_four(at(shared, row, l), held[piece]);
      }
    }
  }
};

struct Tiling {
  std::int64_t chunk;  // of k
  std::int64_t chunks;
  float* parts;                     // (chunks, count, m, n) of several blocks; or null
  bool vector_a, vector_b, vector;  // fours of a, b and out
};

// Four neighbours of row i from column j on, of which those past the end are left out.
__device__ inline void write_four(const Product<float>& p, const Tiling& t, float* to,
                                  std::int64_t i, std::int64_t j, const float* sums, bool first,
                                  bool last) {
  if (i >= p.m || j >= p.n) return;
  const float* bias = last ? p.bias : nullptr;
  float* at = to + i * p.n + j;
  float v[4] = {sums[0], sums[1], sums[2], sums[3]};
  if (t.vector) {
    auto& four = *reinterpret_cast<float4*>(at);
    if (!first) {
      const float4 old = four;
      v[0] = old.x + v[0], v[1] = old.y + v[1], v[2] = old.z + v[2], v[3] = old.w + v[3];
    }
    if (bias != nullptr) {
#pragma unroll
      for (int e = 0; e < 4; ++e) v[e] += bias[j + e];
    }
    four = make_float4(v[0], v[1], v[2], v[3]);
    return;
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    if (j + e >= p.n) return;
    const float sum = first ? v[e] : at[e] + v[e];
    at[e] = bias == nullptr ? sum : sum + bias[j + e];
  }
}

// Of the sums that a block gives to be written, a slice of its tile at a time.
template <class Engine>
constexpr int sum_pitch = Engine::columns + 4;

// Blocks: columns' tiles before rows' before matrices before chunks.
template <class Engine, bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(Engine::threads, Engine::blocks)
    tile_product(const Product<float> p, const Tiling t) {
  using A = Panel<Engine, Engine::rows, a_along_k>;
  using B = Panel<Engine, Engine::columns, b_along_k>;
  auto* const shared = shared_memory<typename Engine::Element>();

  const unsigned across = static_cast<unsigned>((p.n + Engine::columns - 1) / Engine::columns);
  const unsigned down = static_cast<unsigned>((p.m + Engine::rows - 1) / Engine::rows);
  const std::int64_t j0 = std::int64_t{blockIdx.x % across} * Engine::columns;
  const std::int64_t i0 = std::int64_t{blockIdx.x / across % down} * Engine::rows;
  const std::int64_t rest = blockIdx.x / across / down, s = rest % p.count;
  const std::int64_t c0 = rest / p.count, c1 = t.parts == nullptr ? t.chunks : c0 + 1;
  float* const to =
      (t.parts == nullptr ? p.out : t.parts + c0 * p.count * p.m * p.n) + s * p.m * p.n;

  const std::int64_t a_stride = a_along_k ? p.a.row : p.a.column;
  const std::int64_t b_stride = b_along_k ? p.b.column : p.b.row;
  const float* const a0 = p.a.data + s * p.a.batch + i0 * p.a.row;
  const float* const b0 = p.b.data + s * p.b.batch + j0 * p.b.column;
  const auto left = [](std::int64_t n, int tile) { return n < tile ? static_cast<int>(n) : tile; };
  const int rows_left = left(p.m - i0, Engine::rows);
  const int columns_left = left(p.n - j0, Engine::columns);

  Engine engine;
  A a;
  B b;
  const auto load = [&](std::int64_t l, std::int64_t end) {
    const int k_left = left(end - l, Engine::depth);
    a.load(a0 + l * p.a.column, a_stride, rows_left, k_left, t.vector_a);
    b.load(b0 + l * p.b.row, b_stride, columns_left, k_left, t.vector_b);
  };
  const auto put = [&](int buffer) {
    a.put(shared + buffer * (A::size + B::size));
    b.put(shared + buffer * (A::size + B::size) + A::size);
  };
  for (std::int64_t c = c0; c < c1; ++c) {
    const std::int64_t end = p.k < (c + 1) * t.chunk ? p.k : (c + 1) * t.chunk;
    engine.clear();
    if (c * t.chunk < end) {
      load(c * t.chunk, end);
      put(0);
    }
    __syncthreads();
    int buffer = 0;
    for (std::int64_t l = c * t.chunk; l < end; l += Engine::depth, buffer ^= 1) {
      const bool more = l + Engine::depth < end;
      if (more) load(l + Engine::depth, end);
      const auto* const panel = shared + buffer * (A::size + B::size);
      engine.template multiply<A, B>(panel, panel + A::size);
      if (more) put(buffer ^ 1);
      __syncthreads();
    }
    const bool first = t.parts != nullptr || c == 0;
    const bool last = t.parts == nullptr && c + 1 == t.chunks;
    auto* const sums = shared_memory<float>();
#pragma unroll
    for (int slice = 0; slice < Engine::slices; ++slice) {
      engine.give(slice, sums);
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < Engine::slice_rows * Engine::columns / 4;
           i += Engine::threads) {
        const int row = i / (Engine::columns / 4), column = i % (Engine::columns / 4) * 4;
        write_four(p, t, to, i0 + slice * Engine::slice_rows + row, j0 + column,
                   sums + row * sum_pitch<Engine> + column, first, last);
      }
      __syncthreads();
    }
  }
}

// ---- On the host ----

// out from t.parts.
void add_chunks(const Product<float>& p, const Tiling& t);

template <class Engine>
std::int64_t tiles_of(const Product<float>& p) {
  return p.count * ((p.m + Engine::rows - 1) / Engine::rows) *
         ((p.n + Engine::columns - 1) / Engine::columns);
}

// Whether the operand can be read four neighbours at a time. Its matrices are contiguous, so all
// rows are as well aligned as the first.
inline bool in_fours(const Matrices<float>& x, std::int64_t neighbours) {
  return neighbours % 4 == 0 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
}

template <class Engine>
void launch_tiles(const Product<float>& p, const Tiling& t) {
  const auto run = [&]<bool a_along_k, bool b_along_k>() {
    using A = Panel<Engine, Engine::rows, a_along_k>;
    using B = Panel<Engine, Engine::columns, b_along_k>;
    const std::int64_t blocks = tiles_of<Engine>(p) * (t.parts == nullptr ? 1 : t.chunks);
    check(blocks <= 0x7fffffff, "product: {} tiles are too many for a launch", blocks);
    constexpr std::size_t panels = 2 * (A::size + B::size) * sizeof(typename Engine::Element);
    constexpr std::size_t sums = Engine::slice_rows * sum_pitch<Engine> * sizeof(float);
    launch("product", tile_product<Engine, a_along_k, b_along_k>, static_cast<unsigned>(blocks),
           Engine::threads, std::max(panels, sums), p, t);
  };
  const bool a = p.a.column == 1, b = p.b.row == 1;
  a ? (b ? run.template operator()<true, true>() : run.template operator()<true, false>())
    : (b ? run.template operator()<false, true>() : run.template operator()<false, false>());
}

// By large tiles where there are enough of them for all multiprocessors, if need be a chunk of k
// each, of which there are 32 at most.
template <class Large, class Small>
void product_by_tiles(const Product<float>& p) {
  const std::int64_t enough = 2 * multiprocessors();
  const std::int64_t chunk = std::max<std::int64_t>(1024, (p.k + 511) / 512 * 16);
  Tiling t{chunk,
           std::max<std::int64_t>(1, (p.k + chunk - 1) / chunk),
           nullptr,
           in_fours(p.a, p.a.column == 1 ? p.k : p.m),
           in_fours(p.b, p.b.row == 1 ? p.k : p.n),
           p.n % 4 == 0};
  const bool large = tiles_of<Large>(p) * t.chunks >= enough;
  Tensor parts;
  if (t.chunks > 1 && (large ? tiles_of<Large>(p) : tiles_of<Small>(p)) < enough) {
    parts = Tensor::empty({t.chunks, p.count, p.m, p.n}, DType::float32, p.device);
    t.parts = output<float>(parts);
  }
  large ? launch_tiles<Large>(p, t) : launch_tiles<Small>(p, t);
  if (t.parts != nullptr) add_chunks(p, t);
}

}  // namespace ebb::cuda
