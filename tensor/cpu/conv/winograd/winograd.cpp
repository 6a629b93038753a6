#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/conv/winograd/winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/conv/winograd/tiling.h>
#include <ebb/tensor/cpu/conv/winograd/winograd-inl.h>
#include <ebb/tensor/cpu/conv/winograd/winograd.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::winograd {
namespace HWY_NAMESPACE {

// Tiles whose v, m and panel of u together stay in the second cache.
constexpr std::int64_t block_tiles = tile_rows == 14 ? 28 : 30;
// Few tiles are shared out evenly, as multiples of 32 mostly can be.
constexpr std::int64_t few_tiles = 256, most_block_tiles = 32;

struct Transformed;
struct Packed;
struct Products;
struct Inputs;
struct Zeros;
struct BiasPanel;

// The convolution y = w * x with 3x3 weights w(source channel, target channel, tap) given
// transformed: u of panel j, xi, source channel c and the panel's column at
// [(j * 36 + xi) * pitch + c * width].
struct Layer {
  std::int64_t n, height, width, source;       // of x
  std::int64_t out_height, out_width, target;  // of y
  std::int64_t top, left;                      // padding
  const float *x, *u, *bias;
  Activation activation;
  float* y;
  bool stream;  // see streams()
};

constexpr std::int64_t panel_width() { return tile_columns<float>(); }
// Not a multiple of 4096 bytes: those would compete for the same lines of the cache.
constexpr std::int64_t weight_pitch(std::int64_t source) { return (source + 1) * panel_width(); }

// u from weight[o][c][3][3]; for the gradient by x, channels exchanged and the kernel flipped.
void transform_weights(const ConvGeometry& g, const float* weight, bool forward, float* u) {
  const std::int64_t source = forward ? g.ci : g.co, target = forward ? g.co : g.ci;
  const std::int64_t width = panel_width(), panels = (target + width - 1) / width;
  parallel_for(panels * source, 16, [&](std::int64_t begin, std::int64_t end) {
    float* packed = scratch<Packed, float>(9 * width);
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t panel = t / source, c = t % source, first = panel * width;
      const std::int64_t count = std::min(width, target - first);
      if (forward)
        pack_columns(weight + (first * source + c) * 9, source * 9, 1, count, 9, packed);
      else
        pack_columns(weight + (c * target + first) * 9, 9, 1, count, 9, packed);
      float* to = u + panel * 36 * weight_pitch(source) + c * width;
      for (std::int64_t lane = 0; lane < width; lane += lanes<float>()) {
        transform<3, 3, 6, 6, weight_axis, weight_axis>(
            [&](int i, int j) HWY_ATTR {
              const int tap = forward ? i * 3 + j : 8 - i * 3 - j;
              return hn::LoadU(D(), packed + tap * width + lane);
            },
            [&](int i, int j, V value) HWY_ATTR {
              hn::StoreU(value, D(), to + (i * 6 + j) * weight_pitch(source) + lane);
            });
      }
    }
  });
}

// u, in scratch memory or shared with the thread's cache.
struct Weights {
  std::shared_ptr<Storage> shared;
  const float* u;
};

Weights find_weights(const ConvGeometry& g, const float* weight, bool forward,
                     const Tensor* cached) {
  WeightCache* cache = cached ? WeightCache::current() : nullptr;
  WeightCache::Key key{};
  if (cache) {
    key = {cached->storage_id(), cached->version(), cached->shape(), forward};
    if (const std::shared_ptr<Storage> found = cache->find(key))
      return {found, static_cast<const float*>(found->data())};
  }
  const std::int64_t source = forward ? g.ci : g.co, target = forward ? g.co : g.ci;
  const std::int64_t panels = (target + panel_width() - 1) / panel_width();
  const std::int64_t size = panels * 36 * weight_pitch(source);
  std::shared_ptr<Storage> shared;
  if (cache) shared = Storage::allocate(Device::cpu, static_cast<std::size_t>(size) * 4);
  float* u = shared ? static_cast<float*>(shared->data()) : scratch<Transformed, float>(size);
  transform_weights(g, weight, forward, u);
  if (cache) cache->keep(key, shared);
  return {std::move(shared), u};
}

// What the blocks of a layer share.
struct Convolution {
  const Layer& layer;
  Tiling tiling;
  std::int64_t block;         // the most tiles of one
  std::int64_t pitch;         // of a tile's v
  const float *zeros, *bias;  // a pixel outside; padded to whole panels, or null
};

// Not Max, which keeps a NaN on some processors only.
HWY_INLINE V at_least(V least, V value) {
  return hn::IfThenElse(hn::Lt(value, least), least, value);
}

// y of one tile, `channels` of them from `first` on, from its m[xi * pitch].
template <int row_points, int column_points>
void transform_output(const Layer& layer, const Place& place, std::int64_t first,
                      std::int64_t channels, const float* m, std::int64_t pitch,
                      const float* bias) {
  constexpr int height = row_points - 2, width = column_points - 2;
  constexpr auto down = output_axis<row_points>, along = output_axis<column_points>;
  const std::int64_t rows = std::min<std::int64_t>(height, layer.out_height - place.row);
  const std::int64_t columns = std::min<std::int64_t>(width, layer.out_width - place.column);
  float* to = layer.y +
              ((place.image * layer.out_height + place.row) * layer.out_width + place.column) *
                  layer.target +
              first;
  // No activation is a relu that starts at -inf.
  const bool whole = rows == height && columns == width && layer.activation != Activation::silu;
  const V least =
      constant(layer.activation == Activation::relu ? 0 : -std::numeric_limits<float>::infinity());
  const std::int64_t row_pitch = layer.out_width * layer.target;
  for (std::int64_t c = 0; c < channels; c += lanes<float>()) {
    const V offset = bias ? hn::LoadU(D(), bias + c) : hn::Zero(D());
    const auto tile = [&](auto store) HWY_ATTR {
      transform<row_points, column_points, height, width, down, along>(
          [&](int i, int j) HWY_ATTR { return hn::LoadU(D(), m + (i * 6 + j) * pitch + c); },
          [&](int i, int j, V value) HWY_ATTR { store(i, j, hn::Add(value, offset)); });
    };
    const auto pixel = [&](std::int64_t i, std::int64_t j) {
      return to + i * row_pitch + j * layer.target + c;
    };
    if (whole && channels - c >= lanes<float>()) {
      if (layer.stream)
        tile([&](int i, int j, V value)
                 HWY_ATTR { hn::Stream(at_least(least, value), D(), pixel(i, j)); });
      else
        tile([&](int i, int j, V value)
                 HWY_ATTR { hn::StoreU(at_least(least, value), D(), pixel(i, j)); });
      continue;
    }
    alignas(64) float values[height * width * lanes<float>()];
    tile([&](int i, int j, V value)
             HWY_ATTR { hn::Store(value, D(), values + (i * width + j) * lanes<float>()); });
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) {
        const V value = hn::Load(D(), values + (i * width + j) * lanes<float>());
        store_some(activate_vector(D(), value, layer.activation), channels - c, pixel(i, j));
      }
  }
}

template <int row_points, int column_points>
void convolve_block(const Convolution& work, const Block& block) {
  const Layer& layer = work.layer;
  const std::int64_t width = panel_width(), pitch = work.pitch;
  float* v = scratch<Inputs, float>(36 * work.block * pitch);
  float* m = scratch<Products, float>(36 * work.block * width);
  const float* pixels[2][row_points * column_points];
  Place places[most_block_tiles];
  const auto find = [&](std::int64_t t) {
    const Place& place = places[t] = work.tiling.place(block.kind, block.first + t);
    find_pixels<row_points, column_points>(
        layer.x + place.image * layer.height * layer.width * layer.source, layer.height,
        layer.width, layer.source, place.row - layer.top, place.column - layer.left, work.zeros,
        pixels[t % 2]);
  };
  find(0);
  for (std::int64_t t = 0; t < block.count; ++t) {
    const bool last = t + 1 == block.count;
    if (!last) find(t + 1);
    transform_pixels<row_points, column_points, row_points, column_points, 0b111111,
                     input_axis<row_points>, input_axis<column_points>>(
        pixels[t % 2], pixels[(last ? t : t + 1) % 2], layer.source, work.block * pitch,
        v + t * pitch);
  }
  const float* sources[36 * most_block_tiles];
  float* targets[36 * most_block_tiles];
  for (std::int64_t i = 0; i < 36 * work.block; ++i) {
    sources[i] = v + i * pitch;
    targets[i] = m + i * width;
  }
  for (std::int64_t j = 0; j * width < layer.target; ++j) {
    const std::int64_t columns = std::min(width, layer.target - j * width);
    for (int row = 0; row < row_points; ++row)
      for (int column = 0; column < column_points; ++column) {
        const std::int64_t xi = row * 6 + column;
        multiply_tile(Tile<float>{1, layer.source, sources + xi * work.block, 0, 1,
                                  layer.u + (j * 36 + xi) * weight_pitch(layer.source), width,
                                  targets + xi * work.block,
                                  columns > lanes<float>() ? width : lanes<float>(), false, nullptr,
                                  Activation::none},
                      0, block.count);
      }
    for (std::int64_t t = 0; t < block.count; ++t)
      transform_output<row_points, column_points>(layer, places[t], j * width, columns,
                                                  m + t * width, work.block * width,
                                                  work.bias ? work.bias + j * width : nullptr);
  }
  if (layer.stream) hwy::FlushStream();
}

// Outputs that the caches will not hold go past them, which saves reading them first.
bool streams(std::int64_t bytes, std::int64_t channels, const float* y) {
  return bytes >= 8 << 20 && channels % lanes<float>() == 0 &&
         reinterpret_cast<std::uintptr_t>(y) % (4 * lanes<float>()) == 0;
}

void convolve(const Layer& layer) {
  const Tiling tiling(layer.n, layer.out_height, layer.out_width);
  const std::int64_t width = panel_width(), panels = (layer.target + width - 1) / width;
  // Rows of v that are not a multiple of 4096 bytes apart do not compete for lines of the cache.
  const std::int64_t pitch =
      (layer.source + lanes<float>() - 1) / lanes<float>() * lanes<float>() + 16;
  float* zeros = scratch<Zeros, float>(pitch);
  std::fill_n(zeros, pitch, 0.0f);
  float* bias = nullptr;
  if (layer.bias) {
    bias = scratch<BiasPanel, float>(panels * width);
    std::fill(std::copy_n(layer.bias, layer.target, bias), bias + panels * width, 0.0f);
  }
  const std::int64_t block = tiling.count(0) <= few_tiles ? most_block_tiles : block_tiles;
  const Convolution work{layer, tiling, block, pitch, zeros, bias};
  constexpr void (*kinds[])(const Convolution&, const Block&) = {
      convolve_block<6, 6>, convolve_block<6, 5>, convolve_block<5, 6>, convolve_block<5, 5>};
  const std::vector<Block> blocks = tiling.blocks(block);
  parallel_for(static_cast<std::int64_t>(blocks.size()), 1, [&](std::int64_t index, std::int64_t) {
    const Block& one = blocks[static_cast<std::size_t>(index)];
    kinds[one.kind](work, one);
  });
}

void forward_target(const ConvGeometry& g, const float* x, const float* weight, const float* bias,
                    Activation activation, float* y, const Tensor* cached) {
  const Weights weights = find_weights(g, weight, true, cached);
  convolve({g.n, g.h, g.w, g.ci, g.ho, g.wo, g.co, g.padding[0], g.padding[1], x, weights.u, bias,
            activation, y, streams(g.n * g.ho * g.wo * g.co * 4, g.co, y)});
}

void backward_data_target(const ConvGeometry& g, const float* dy, const float* weight,
                          const float* bias, Activation activation, float* dx,
                          const Tensor* cached) {
  const Weights weights = find_weights(g, weight, false, cached);
  convolve({g.n, g.ho, g.wo, g.co, g.h, g.w, g.ci, 2 - g.padding[0], 2 - g.padding[1], dy,
            weights.u, bias, activation, dx, streams(g.n * g.h * g.w * g.ci * 4, g.ci, dx)});
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::winograd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::winograd {

HWY_EXPORT(forward_target);
HWY_EXPORT(backward_data_target);

bool fits(const ConvGeometry& g) {
  const Pair one{1, 1};
  return g.kernel == Pair{3, 3} && g.stride == one && g.dilation == one && g.groups == 1;
}

void forward(const ConvGeometry& g, const float* x, const float* weight, const float* bias,
             Activation activation, float* y, const Tensor* cached) {
  EBB_DISPATCH(forward_target)(g, x, weight, bias, activation, y, cached);
}

void backward_data(const ConvGeometry& g, const float* dy, const float* weight, const float* bias,
                   Activation activation, float* dx, const Tensor* cached) {
  EBB_DISPATCH(backward_data_target)(g, dy, weight, bias, activation, dx, cached);
}

}  // namespace ebb::cpu::winograd
#endif
