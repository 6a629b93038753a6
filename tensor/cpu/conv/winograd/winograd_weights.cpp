// The gradient by the weights in Winograd's domain: du[xi] = sum over tiles of v[xi]^T a[xi], v of
// x and a = A dy A^T of dy.
//
//   part of the tiles    block of tiles        12 of the 36 xi         du of this task: 12 matrices
//   | t t t t | ...      x  -- transform -->   v [xi][tile][c]   --->  += v^T a, which stay in the
//   | t t t t |          dy -- transform -->   a [xi][tile][o]         second cache, as v and a do
//
// A task is a part of the blocks, a pair of rows of xi (the rows of a pair share their sums) and a
// slice of the output channels. Transforming the pixels once for every pair costs less than moving
// all 36 v and a out of the cache and back. Parts have sizes of their own, their sums are added in
// order, so that bits do not depend on the number of threads.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/winograd/winograd_weights.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/conv/winograd/tiling.h>
#include <ebb/tensor/cpu/conv/winograd/winograd-inl.h>
#include <ebb/tensor/cpu/conv/winograd/winograd.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

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
  std::vector<Block> blocks;
  std::int64_t v_pitch, a_pitch;   // of a tile
  std::int64_t du_pitch, du_size;  // of an input channel, of a xi
  std::int64_t part, parts;        // blocks of a part

  explicit Plan(const ConvGeometry& g)
      : tiling(g.n, g.ho, g.wo),
        blocks(tiling.blocks(sum_tiles_at_once)),
        v_pitch(round_up(g.ci, vector) + 16),
        a_pitch(round_up(std::min(g.co, output_block), panel) + 16),
        du_pitch(round_up(g.co, panel) + 16),
        du_size(round_up(g.ci, sum_rows) * du_pitch) {
    // Sums of all parts take 16 MB at most, and those of few tiles more time than they save.
    const auto count = static_cast<std::int64_t>(blocks.size());
    const std::int64_t most = std::clamp<std::int64_t>((1 << 22) / (36 * du_size), 1,
                                                       count * sum_tiles_at_once < 2048 ? 2 : 4);
    part = (count + most - 1) / most;
    parts = (count + part - 1) / part;
  }
};

// Where the pixels of a tile are.
template <int row_points, int column_points>
struct Pixels {
  const float* x[row_points * column_points];
  const float* dy[(row_points - 2) * (column_points - 2)];

  void find(const ConvGeometry& g, const Place& place, const float* all_dy, const float* all_x,
            const float* zeros) {
    find_pixels<row_points, column_points>(all_x + place.image * g.h * g.w * g.ci, g.h, g.w, g.ci,
                                           place.row - g.padding[0], place.column - g.padding[1],
                                           zeros, x);
    find_pixels<row_points - 2, column_points - 2>(all_dy + place.image * g.ho * g.wo * g.co, g.ho,
                                                   g.wo, g.co, place.row, place.column, zeros, dy);
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

// run[o] += the `count` pixels of a tile.
void add_pixels(const float* const* pixels, int count, std::int64_t channels, float* run) {
  for (std::int64_t o = 0; o < channels; o += vector) {
    V sum = hn::LoadU(D(), run + o);
    for (int i = 0; i < count; ++i) sum = hn::Add(sum, load_some(pixels[i] + o, channels - o));
    hn::StoreU(sum, D(), run + o);
  }
}

// What one task adds up: blocks begin..end, output channels first..first + outputs.
struct Task {
  const ConvGeometry& g;
  const Plan& plan;
  const float *dy, *x, *zeros;  // zeros: a pixel outside
  std::int64_t begin, end, first, outputs;
  float* du;   // [xi * du_size + c * du_pitch + o]
  double* db;  // [o], by pair 1 alone, which reads every pixel; null if nobody wants it

  std::int64_t v_xi() const { return sum_tiles_at_once * plan.v_pitch + 16; }
  std::int64_t a_xi() const { return sum_tiles_at_once * plan.a_pitch + 16; }
};

// v and a of a block, for the rows of xi that `pair` and the block's kind have.
template <int pair, int row_points, int column_points>
void transform_block(const Task& task, const Block& block, float* v, float* a) {
  constexpr int rows = pair == 0 && row_points == 5 ? 1 : 2;
  constexpr int height = row_points - 2, width = column_points - 2;
  // The middle pairs use all rows of pixels but the outermost, the outer one two or one of dy.
  constexpr int used_x = pair == 0 ? 0b111111 : 0b011110, used_dy = pair == 0 ? 0b1001 : 0b1111;
  const ConvGeometry& g = task.g;
  const Plan& plan = task.plan;
  const bool with_bias = pair == 1 && task.db != nullptr;
  float* run = scratch<BlockBias, float>(task.outputs + vector);
  std::fill_n(run, task.outputs + vector, 0.0f);
  Pixels<row_points, column_points> found[2];
  const auto find = [&](std::int64_t t) {
    found[t % 2].find(g, plan.tiling.place(block.kind, block.first + t), task.dy + task.first,
                      task.x, task.zeros);
  };
  find(0);
  for (std::int64_t t = 0; t < block.count; ++t) {
    const bool last = t + 1 == block.count;
    if (!last) find(t + 1);
    const auto &now = found[t % 2], &next = found[(last ? t : t + 1) % 2];
    transform_pixels<row_points, column_points, rows, column_points, used_x,
                     input_pair<row_points, pair>, input_axis<column_points>>(
        now.x, next.x, g.ci, task.v_xi(), v + t * plan.v_pitch);
    transform_pixels<height, width, rows, column_points, used_dy,
                     output_adjoint_pair<row_points, pair>, output_adjoint_axis<column_points>>(
        now.dy, next.dy, task.outputs, task.a_xi(), a + t * plan.a_pitch);
    if (with_bias) add_pixels(now.dy, height * width, task.outputs, run);
  }
  if (with_bias)
    for (std::int64_t o = 0; o < task.outputs; ++o)
      task.db[task.first + o] += static_cast<double>(run[o]);
}

template <int pair>
void sum_tiles(const Task& task) {
  const Plan& plan = task.plan;
  float* v = scratch<BlockInputs, float>(pair_size * task.v_xi());
  float* a = scratch<BlockGradients, float>(pair_size * task.a_xi());
  constexpr void (*kinds[])(const Task&, const Block&, float*, float*) = {
      transform_block<pair, 6, 6>, transform_block<pair, 6, 5>, transform_block<pair, 5, 6>,
      transform_block<pair, 5, 5>};
  bool begun[pair_size] = {};
  for (std::int64_t b = task.begin; b < task.end; ++b) {
    const Block& block = plan.blocks[static_cast<std::size_t>(b)];
    kinds[block.kind](task, block, v, a);
    for (int e = 0; e < pair_size; ++e) {
      const int row = pair_rows[pair][e / 6], column = e % 6;
      if ((row == 5 && block.kind / 2 == 1) || (column == 5 && block.kind % 2 == 1)) continue;
      float* du = task.du + (row * 6 + column) * plan.du_size + task.first;
      for (std::int64_t o = 0; o < task.outputs; o += panel)
        for (std::int64_t c = 0; c < task.g.ci; c += sum_rows) {
          const auto add = task.outputs - o > vector ? add_products<2> : add_products<1>;
          add(v + e * task.v_xi() + c, plan.v_pitch, a + e * task.a_xi() + o, plan.a_pitch,
              block.count, begun[e], du + c * plan.du_pitch + o, plan.du_pitch);
        }
      begun[e] = true;
    }
  }
  // Without a tile of four there is nothing at infinity.
  for (int e = 0; e < pair_size; ++e)
    for (std::int64_t c = 0; !begun[e] && c < task.g.ci; ++c)
      std::fill_n(task.du + (pair_rows[pair][e / 6] * 6 + e % 6) * plan.du_size +
                      c * plan.du_pitch + task.first,
                  round_up(task.outputs, vector), 0.0f);
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
      transform<6, 6, 3, 3, weight_adjoint_axis, weight_adjoint_axis>(
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
  float* zeros = scratch<Zeros, float>(std::max(g.ci, g.co) + vector);
  std::fill_n(zeros, std::max(g.ci, g.co) + vector, 0.0f);
  const std::int64_t slices = (g.co + output_block - 1) / output_block;
  parallel_for(plan.parts * slices * pairs, 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t part = index / (slices * pairs), begin = part * plan.part;
    const std::int64_t end =
        std::min(begin + plan.part, static_cast<std::int64_t>(plan.blocks.size()));
    const std::int64_t first = index / pairs % slices * output_block;
    constexpr void (*sums[pairs])(const Task&) = {sum_tiles<0>, sum_tiles<1>, sum_tiles<2>};
    sums[index % pairs]({g, plan, dy, x, zeros, begin, end, first,
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
