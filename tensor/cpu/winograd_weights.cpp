// The gradient by the weights in Winograd's domain: du[xi] = sum over tiles of v[xi]^T a[xi], v of
// x and a = A dy A^T of dy.
//
//   part of the tiles    block of tiles        12 of the 36 xi         du of this task: 12 matrices
//   | t t t t | ...      x  -- transform -->   v [xi][tile][c]   --->  += v^T a, which stay in the
//   | t t t t |          dy -- transform -->   a [xi][tile][o]         second cache, as v and a do
//
// A task is a part of the tiles, a pair of rows of xi (the rows of a pair share their sums) and a
// block of output channels. Transforming the pixels once for every pair costs less than moving all
// 36 v and a out of the cache and back. Parts have sizes of their own, their sums are added in
// order, so that bits do not depend on the number of threads.
#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/winograd_weights.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/winograd-inl.h>
#include <ebb/tensor/cpu/winograd.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::winograd {
namespace HWY_NAMESPACE {

struct BlockInputs;
struct BlockGradients;
struct Sums;
struct BiasSums;
struct BlockBias;
struct Zeros;
struct Buffer;

constexpr std::int64_t vector = lanes<float>();
constexpr std::int64_t panel = 2 * vector;
// Input channels of a register tile.
constexpr std::int64_t sum_rows = std::min<std::int64_t>(tile_rows == 14 ? 8 : 4, vector);
constexpr std::int64_t output_block = 128;
// Tiles whose products are added at once: fewer would read and write the sums too often.
constexpr std::int64_t sum_tiles_at_once = 64;
constexpr std::int64_t pair_size = 12;

std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

// Sizes of the work; none of them depends on the threads.
struct Plan {
  Tiling tiling;
  std::int64_t v_pitch, a_pitch;   // of a tile
  std::int64_t du_pitch, du_size;  // of an input channel, of a xi
  std::int64_t part, parts;        // tiles of a part

  explicit Plan(const ConvGeometry& g)
      : tiling(g.n, g.ho, g.wo),
        v_pitch(round_up(g.ci, vector) + 16),
        a_pitch(round_up(std::min(g.co, output_block), panel) + 16),
        du_pitch(round_up(g.co, panel) + 16),
        du_size(round_up(g.ci, sum_rows) * du_pitch) {
    // Sums of all parts take 16 MB at most, and those of few tiles more time than they save.
    const std::int64_t most =
        std::clamp<std::int64_t>((1 << 22) / (36 * du_size), 1, tiling.count < 2048 ? 2 : 4);
    part = round_up((tiling.count + most - 1) / most, sum_tiles_at_once);
    parts = (tiling.count + part - 1) / part;
  }
};

// Where the pixels of a tile are.
struct Pixels {
  const float *x[36], *dy[16];

  void find(const ConvGeometry& g, const Tiling& tiling, const float* all_dy, const float* all_x,
            std::int64_t tile, const float* zeros) {
    const std::int64_t image = tile / (tiling.rows * tiling.columns);
    const std::int64_t row = tile / tiling.columns % tiling.rows * 4;
    const std::int64_t column = tile % tiling.columns * 4;
    find_pixels<6>(all_x + image * g.h * g.w * g.ci, g.h, g.w, g.ci, row - g.padding[0],
                   column - g.padding[1], zeros, x);
    find_pixels<4>(all_dy + image * g.ho * g.wo * g.co, g.ho, g.wo, g.co, row, column, zeros, dy);
  }
};

// sums[i][o] (+)= sum over `tiles` of v[tile][i] a[tile][o] for sum_rows i and `vectors` of o.
template <int vectors>
HWY_NOINLINE void add_products(const float* HWY_RESTRICT v, std::int64_t v_pitch,
                               const float* HWY_RESTRICT a, std::int64_t a_pitch,
                               std::int64_t tiles, bool add, float* sums, std::int64_t pitch) {
  V total[sum_rows][vectors];
  EBB_UNROLL for (int i = 0; i < sum_rows; ++i) {
    EBB_UNROLL for (int j = 0; j < vectors; ++j) {
      hwy::Prefetch(sums + i * pitch + j * vector);
      total[i][j] = hn::Zero(D());
    }
  }
  for (std::int64_t t = 0; t < tiles; ++t, v += v_pitch, a += a_pitch) {
    V right[vectors];
    EBB_UNROLL for (int j = 0; j < vectors; ++j) right[j] = hn::LoadU(D(), a + j * vector);
    EBB_UNROLL for (int i = 0; i < sum_rows; ++i) {
      const V left = hn::Set(D(), v[i]);
      EBB_UNROLL for (int j = 0; j < vectors; ++j) {
        total[i][j] = hn::MulAdd(left, right[j], total[i][j]);
      }
    }
  }
  EBB_UNROLL for (int i = 0; i < sum_rows; ++i) {
    EBB_UNROLL for (int j = 0; j < vectors; ++j) {
      float* to = sums + i * pitch + j * vector;
      hn::StoreU(add ? hn::Add(hn::LoadU(D(), to), total[i][j]) : total[i][j], D(), to);
    }
  }
}

// run[o] += the pixels of a tile.
void add_pixels(const float* const* pixels, std::int64_t channels, float* run) {
  for (std::int64_t o = 0; o < channels; o += vector) {
    V sum = hn::LoadU(D(), run + o);
    for (int i = 0; i < 16; ++i) sum = hn::Add(sum, load_some(pixels[i] + o, channels - o));
    hn::StoreU(sum, D(), run + o);
  }
}

// What one task adds up: tiles begin..end, output channels first..first + outputs.
struct Task {
  std::int64_t begin, end, first, outputs;
  float* du;   // [xi * du_size + c * du_pitch + o]
  double* db;  // [o], by pair 1 alone, which reads every pixel; null if nobody wants it
};

template <int pair>
void sum_tiles(const ConvGeometry& g, const Plan& plan, const float* dy, const float* x,
               const Task& task) {
  const std::int64_t v_xi = sum_tiles_at_once * plan.v_pitch + 16,
                     a_xi = sum_tiles_at_once * plan.a_pitch + 16;
  float* v = scratch<BlockInputs, float>(pair_size * v_xi);
  float* a = scratch<BlockGradients, float>(pair_size * a_xi);
  float* run = scratch<BlockBias, float>(task.outputs + vector);
  float* zeros = scratch<Zeros, float>(std::max(g.ci, g.co) + vector);
  std::fill_n(zeros, std::max(g.ci, g.co) + vector, 0.0f);
  Pixels found[2];
  const auto find = [&](std::int64_t tile) {
    found[tile % 2].find(g, plan.tiling, dy + task.first, x, tile, zeros);
  };
  // Of six rows of pixels the middle pairs use four, of four the outer one uses two.
  constexpr int used_x = pair == 0 ? 0b111111 : 0b011110, used_dy = pair == 0 ? 0b1001 : 0b1111;
  const bool with_bias = pair == 1 && task.db != nullptr;
  find(task.begin);
  for (std::int64_t block = task.begin; block < task.end; block += sum_tiles_at_once) {
    const std::int64_t count = std::min(sum_tiles_at_once, task.end - block);
    std::fill_n(run, task.outputs + vector, 0.0f);
    for (std::int64_t t = 0; t < count; ++t) {
      const Pixels& now = found[(block + t) % 2];
      const bool last = block + t + 1 == task.end;
      if (!last) find(block + t + 1);
      const Pixels& next = found[(block + t + (last ? 0 : 1)) % 2];
      transform_pixels<6, 2, used_x, 2, input_pair<pair>, input_axis>(now.x, next.x, g.ci, v_xi,
                                                                      v + t * plan.v_pitch);
      transform_pixels<4, 2, used_dy, 0, output_adjoint_pair<pair>, output_adjoint_axis>(
          now.dy, next.dy, task.outputs, a_xi, a + t * plan.a_pitch);
      if (with_bias) add_pixels(now.dy, task.outputs, run);
    }
    if (with_bias)
      for (std::int64_t o = 0; o < task.outputs; ++o)
        task.db[task.first + o] += static_cast<double>(run[o]);
    for (std::int64_t e = 0; e < pair_size; ++e) {
      const std::int64_t xi = pair_rows[pair][e / 6] * 6 + e % 6;
      for (std::int64_t o = 0; o < task.outputs; o += panel)
        for (std::int64_t c = 0; c < g.ci; c += sum_rows) {
          const auto add = task.outputs - o > vector ? add_products<2> : add_products<1>;
          add(v + e * v_xi + c, plan.v_pitch, a + e * a_xi + o, plan.a_pitch, count,
              block > task.begin, task.du + xi * plan.du_size + c * plan.du_pitch + task.first + o,
              plan.du_pitch);
        }
    }
  }
}

// dw[o][c][3][3] = G^T du G for input channels first..last (at most weight_block), du summed over
// the parts; transformed for a vector of o at a time into `buffer`, from which dw is written in
// order.
constexpr std::int64_t weight_block = 16;
void transform_sums(const ConvGeometry& g, const Plan& plan, const float* du, std::int64_t first,
                    std::int64_t last, float* dw) {
  float* buffer = scratch<Buffer, float>(weight_block * 9 * vector);
  for (std::int64_t o = 0; o < g.co; o += vector) {
    for (std::int64_t c = first; c < last; ++c)
      both_axes<6, 3, weight_adjoint_axis>(
          [&](int i, int j) HWY_ATTR {
            const float* from = du + (i * 6 + j) * plan.du_size + c * plan.du_pitch + o;
            V sum = hn::LoadU(D(), from);
            for (std::int64_t part = 1; part < plan.parts; ++part)
              sum = hn::Add(sum, hn::LoadU(D(), from + part * 36 * plan.du_size));
            return sum;
          },
          [&](int i, int j, V value)
              HWY_ATTR { hn::Store(value, D(), buffer + ((c - first) * 9 + i * 3 + j) * vector); });
    for (std::int64_t k = 0; k < std::min(vector, g.co - o); ++k) {
      float* to = dw + ((o + k) * g.ci + first) * 9;
      for (std::int64_t e = 0; e < (last - first) * 9; ++e) to[e] = buffer[e * vector + k];
    }
  }
}

void backward_weights_target(const ConvGeometry& g, const float* dy, const float* x, float* dw,
                             float* db) {
  const Plan plan(g);
  float* du = scratch<Sums, float>(plan.parts * 36 * plan.du_size);
  double* bias = db ? scratch<BiasSums, double>(plan.parts * g.co) : nullptr;
  if (db) std::fill_n(bias, plan.parts * g.co, 0.0);
  const std::int64_t blocks = (g.co + output_block - 1) / output_block;
  parallel_for(plan.parts * blocks * pairs, 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t part = index / (blocks * pairs), begin = part * plan.part;
    const std::int64_t first = index / pairs % blocks * output_block;
    const auto sum = index % pairs == 0   ? sum_tiles<0>
                     : index % pairs == 1 ? sum_tiles<1>
                                          : sum_tiles<2>;
    sum(g, plan, dy, x,
        {begin, std::min(begin + plan.part, plan.tiling.count), first,
         std::min(output_block, g.co - first), du + part * 36 * plan.du_size,
         bias ? bias + part * g.co : nullptr});
  });
  parallel_for(g.ci, weight_block, [&](std::int64_t first, std::int64_t last) {
    transform_sums(g, plan, du, first, last, dw);
  });
  if (db == nullptr) return;
  for (std::int64_t o = 0; o < g.co; ++o) {
    double sum = 0;
    for (std::int64_t part = 0; part < plan.parts; ++part) sum += bias[part * g.co + o];
    db[o] = static_cast<float>(sum);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::winograd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::winograd {

HWY_EXPORT(backward_weights_target);

void backward_weights(const ConvGeometry& g, const float* dy, const float* x, float* dw,
                      float* db) {
  EBB_DISPATCH(backward_weights_target)(g, dy, x, dw, db);
}

}  // namespace ebb::cpu::winograd
#endif
