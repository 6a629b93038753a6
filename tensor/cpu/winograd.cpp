#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/winograd-inl.h>
#include <ebb/tensor/cpu/winograd.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu::winograd {
namespace HWY_NAMESPACE {

// Tiles whose v, m and panel of u together stay in the second cache.
constexpr std::int64_t block_tiles = tile_rows == 14 ? 28 : 30;
// Few tiles are shared out evenly, as multiples of 32 mostly can be.
constexpr std::int64_t few_tiles = 128, few_block_tiles = 32;

struct Transformed;
struct Weights;
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
        both_axes<3, 6, weight_axis>(
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

// u, on which `held` has a hand where it is kept.
const float* find_weights(const ConvGeometry& g, const float* weight, const WeightKey& key,
                          std::shared_ptr<Storage>& held) {
  if (key.keeps() && (held = find_kept(key)) != nullptr)
    return static_cast<const float*>(held->data());
  const std::int64_t source = key.forward ? g.ci : g.co, target = key.forward ? g.co : g.ci;
  const std::int64_t panels = (target + panel_width() - 1) / panel_width();
  const std::int64_t size = panels * 36 * weight_pitch(source);
  if (key.keeps()) held = Storage::allocate(Device::cpu, static_cast<std::size_t>(size) * 4);
  float* u = held ? static_cast<float*>(held->data()) : scratch<Transformed, float>(size);
  transform_weights(g, weight, key.forward, u);
  if (held) keep(key, held);
  return u;
}

// y of one tile, `channels` of them from `first` on, from its m[xi * pitch].
void transform_output(const Layer& layer, std::int64_t tile, const Tiling& tiling,
                      std::int64_t first, std::int64_t channels, const float* m, std::int64_t pitch,
                      const float* bias) {
  const std::int64_t row = tile / tiling.columns % tiling.rows * 4;
  const std::int64_t column = tile % tiling.columns * 4;
  const std::int64_t image = tile / (tiling.rows * tiling.columns);
  const std::int64_t rows = std::min<std::int64_t>(4, layer.out_height - row);
  const std::int64_t columns = std::min<std::int64_t>(4, layer.out_width - column);
  float* to = layer.y +
              ((image * layer.out_height + row) * layer.out_width + column) * layer.target + first;
  // No activation is a relu that starts at -inf.
  const bool whole = rows == 4 && columns == 4 && layer.activation != Activation::silu;
  const V least =
      constant(layer.activation == Activation::relu ? 0 : -std::numeric_limits<float>::infinity());
  const std::int64_t row_pitch = layer.out_width * layer.target;
  for (std::int64_t c = 0; c < channels; c += lanes<float>()) {
    const V offset = bias ? hn::LoadU(D(), bias + c) : hn::Zero(D());
    const auto load = [&](int i, int j)
                          HWY_ATTR { return hn::LoadU(D(), m + (i * 6 + j) * pitch + c); };
    if (whole && channels - c >= lanes<float>()) {
      const auto pixel = [&](int i, int j) { return to + i * row_pitch + j * layer.target + c; };
      const auto finish = [&](V value) HWY_ATTR { return hn::Max(least, hn::Add(value, offset)); };
      if (layer.stream)
        both_axes<6, 4, output_axis>(load, [&](int i, int j, V value) HWY_ATTR {
          hn::Stream(finish(value), D(), pixel(i, j));
        });
      else
        both_axes<6, 4, output_axis>(load, [&](int i, int j, V value) HWY_ATTR {
          hn::StoreU(finish(value), D(), pixel(i, j));
        });
      continue;
    }
    alignas(64) float block[16 * lanes<float>()];
    both_axes<6, 4, output_axis>(load, [&](int i, int j, V value) HWY_ATTR {
      hn::Store(hn::Add(value, offset), D(), block + (i * 4 + j) * lanes<float>());
    });
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) {
        const V value = hn::Load(D(), block + (i * 4 + j) * lanes<float>());
        store_some(activate_vector(D(), value, layer.activation), channels - c,
                   to + i * row_pitch + j * layer.target + c);
      }
  }
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
  const std::int64_t block = tiling.count <= few_tiles ? few_block_tiles : block_tiles;
  parallel_for(tiling.count, block, [&](std::int64_t begin, std::int64_t end) {
    float* v = scratch<Inputs, float>(36 * block * pitch);
    float* m = scratch<Products, float>(36 * block * width);
    const float* sources[36 * few_block_tiles];
    float* targets[36 * few_block_tiles];
    for (std::int64_t i = 0; i < 36 * block; ++i) {
      sources[i] = v + i * pitch;
      targets[i] = m + i * width;
    }
    const float* pixels[2][36];
    const auto find = [&](std::int64_t t) {
      find_pixels<6>(
          layer.x + t / (tiling.rows * tiling.columns) * layer.height * layer.width * layer.source,
          layer.height, layer.width, layer.source, t / tiling.columns % tiling.rows * 4 - layer.top,
          t % tiling.columns * 4 - layer.left, zeros, pixels[t % 2]);
    };
    find(begin);
    for (std::int64_t t = begin; t < end; ++t) {
      if (t + 1 < end) find(t + 1);
      transform_pixels<6, 6, 0b111111, 2, input_axis, input_axis>(
          pixels[t % 2], pixels[t + 1 < end ? (t + 1) % 2 : t % 2], layer.source, block * pitch,
          v + (t - begin) * pitch);
    }
    for (std::int64_t j = 0; j < panels; ++j) {
      const std::int64_t columns = std::min(width, layer.target - j * width);
      for (std::int64_t xi = 0; xi < 36; ++xi)
        multiply_tile(
            Tile<float>{1, layer.source, sources + xi * block, 0, 1,
                        layer.u + (j * 36 + xi) * weight_pitch(layer.source), width,
                        targets + xi * block, columns > lanes<float>() ? width : lanes<float>(),
                        false, nullptr, Activation::none},
            0, end - begin);
      for (std::int64_t t = begin; t < end; ++t)
        transform_output(layer, t, tiling, j * width, columns, m + (t - begin) * width,
                         block * width, bias ? bias + j * width : nullptr);
    }
    if (layer.stream) hwy::FlushStream();
  });
}

void forward_target(const ConvGeometry& g, const float* x, const float* weight, const float* bias,
                    Activation activation, float* y, const WeightKey& key) {
  std::shared_ptr<Storage> held;
  convolve({g.n, g.h, g.w, g.ci, g.ho, g.wo, g.co, g.padding[0], g.padding[1], x,
            find_weights(g, weight, key, held), bias, activation, y,
            streams(g.n * g.ho * g.wo * g.co * 4, g.co, y)});
}

void backward_data_target(const ConvGeometry& g, const float* dy, const float* weight,
                          const float* bias, Activation activation, float* dx,
                          const WeightKey& key) {
  std::shared_ptr<Storage> held;
  convolve({g.n, g.ho, g.wo, g.co, g.h, g.w, g.ci, 2 - g.padding[0], 2 - g.padding[1], dy,
            find_weights(g, weight, key, held), bias, activation, dx,
            streams(g.n * g.h * g.w * g.ci * 4, g.ci, dx)});
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
             Activation activation, float* y, const WeightKey& key) {
  EBB_DISPATCH(forward_target)(g, x, weight, bias, activation, y, {key.storage, key.version, true});
}

void backward_data(const ConvGeometry& g, const float* dy, const float* weight, const float* bias,
                   Activation activation, float* dx, const WeightKey& key) {
  EBB_DISPATCH(backward_data_target)
  (g, dy, weight, bias, activation, dx, {key.storage, key.version, false});
}

}  // namespace ebb::cpu::winograd
#endif
