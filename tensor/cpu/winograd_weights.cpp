// The gradient by the weights in Winograd's domain: v of x and a = A dy A^T of dy are transformed
// for a chunk of tiles, then du[xi] += v[xi]^T a[xi] for each of the 36 xi, one task each: sums
// over tiles are taken in order whatever the number of threads.
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

struct ChunkInputs;
struct ChunkGradients;
struct Accumulator;
struct Zeros;
struct Rows;
struct Buffer;

std::int64_t padded(std::int64_t channels) {
  constexpr std::int64_t width = tile_columns<float>();
  return (channels + width - 1) / width * width + 16;
}

// a[xi * pitch + o] = A dy A^T of one tile.
void transform_gradient(const float* const* pixels, std::int64_t channels, std::int64_t pitch,
                        float* a) {
  constexpr std::int64_t n = lanes<float>();
  std::int64_t o = 0;
  const auto store = [&](int i, int j, V value)
                         HWY_ATTR { hn::StoreU(value, D(), a + (i * 6 + j) * pitch + o); };
  for (; o + n <= channels; o += n)
    both_axes<4, 6>(
        output_adjoint_axis,
        [&](int i, int j) HWY_ATTR { return hn::LoadU(D(), pixels[i * 4 + j] + o); }, store);
  if (o < channels)
    both_axes<4, 6>(
        output_adjoint_axis,
        [&](int i, int j) HWY_ATTR { return load_some(pixels[i * 4 + j] + o, channels - o); },
        store);
}

void backward_weights_target(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  constexpr std::int64_t width = tile_columns<float>();
  const Tiling tiling(g.n, g.ho, g.wo);
  const std::int64_t x_pitch = padded(g.ci), y_pitch = padded(g.co);
  // A chunk's v and a take about 4 MB.
  const std::int64_t chunk =
      std::max<std::int64_t>(32, (1 << 20) / (36 * (x_pitch + y_pitch)) / 16 * 16);
  // From one xi to the next; not a multiple of 4096 bytes, or they would compete for cache lines.
  const std::int64_t v_pitch = chunk * x_pitch + 16, a_pitch = chunk * y_pitch + 16;
  const std::int64_t du_pitch = g.ci * y_pitch + 16;
  float* v = scratch<ChunkInputs, float>(36 * v_pitch);
  float* a = scratch<ChunkGradients, float>(36 * a_pitch);
  float* du = scratch<Accumulator, float>(36 * du_pitch);
  float* zeros = scratch<Zeros, float>(std::max(x_pitch, y_pitch));
  std::fill_n(zeros, std::max(x_pitch, y_pitch), 0.0f);
  if (tiling.count == 0) std::fill_n(du, 36 * du_pitch, 0.0f);

  for (std::int64_t begin = 0; begin < tiling.count; begin += chunk) {
    const std::int64_t count = std::min(chunk, tiling.count - begin);
    parallel_for(count, 8, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t t = first; t < last; ++t) {
        const std::int64_t tile = begin + t, image = tile / (tiling.rows * tiling.columns);
        const std::int64_t row = tile / tiling.columns % tiling.rows * 4;
        const std::int64_t column = tile % tiling.columns * 4;
        const float *x_pixels[36], *y_pixels[16];
        find_pixels<6>(x + image * g.h * g.w * g.ci, g.h, g.w, g.ci, row - g.padding[0],
                       column - g.padding[1], zeros, x_pixels);
        find_pixels<4>(dy + image * g.ho * g.wo * g.co, g.ho, g.wo, g.co, row, column, zeros,
                       y_pixels);
        transform_input(x_pixels, g.ci, v_pitch, v + t * x_pitch);
        transform_gradient(y_pixels, g.co, a_pitch, a + t * y_pitch);
      }
    });
    parallel_for(36, 1, [&](std::int64_t first, std::int64_t last) {
      const float** sources = scratch<Rows, const float*>(2 * g.ci);
      float** targets = const_cast<float**>(sources + g.ci);
      for (std::int64_t xi = first; xi < last; ++xi)
        for (std::int64_t o = 0; o < g.co; o += width) {
          for (std::int64_t c = 0; c < g.ci; ++c) {
            sources[c] = v + xi * v_pitch + c;
            targets[c] = du + xi * du_pitch + c * y_pitch + o;
          }
          multiply_tile(
              Tile<float>{1, count, sources, 0, x_pitch, a + xi * a_pitch + o, y_pitch, targets,
                          std::min(width, g.co - o), begin > 0, nullptr, Activation::none},
              0, g.ci);
        }
    });
  }

  parallel_for(g.ci, weight_block, [&](std::int64_t first, std::int64_t last) {
    float* buffer = scratch<Buffer, float>(weight_block * 9 * lanes<float>());
    transform_weight_gradient(du, du_pitch, y_pitch, g.ci, g.co, first, last, buffer, dw);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu::winograd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu::winograd {

HWY_EXPORT(backward_weights_target);

void backward_weights(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  EBB_DISPATCH(backward_weights_target)(g, dy, x, dw);
}

}  // namespace ebb::cpu::winograd
#endif
