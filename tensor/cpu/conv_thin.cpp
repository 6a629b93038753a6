#include <ebb/tensor/cpu/activation.h>
#include <ebb/tensor/cpu/conv_lattice.h>
#include <ebb/tensor/cpu/gemm.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>

#include <algorithm>

namespace ebb::cpu::lattice {

namespace {

struct Weights;
struct Products;

// Target pixels of one row of one image from the products of the source rows around it, of which
// row h is at products + (h - first_row) * row_pitch.
template <int channels>
void sum_row(const Pass<float>& pass, std::int64_t row, const float* products,
             std::int64_t first_row, std::int64_t pitch, float* target) {
  const std::int64_t width = pass.columns.count, row_pitch = pass.columns.source_size * pitch;
  for (std::int64_t t = 0; t < width; ++t) {
    float sums[channels] = {};
    std::int64_t tap = 0;
    for (const Tap& row_tap : pass.rows.taps) {
      const std::int64_t h = row + row_tap.offset;
      for (const Tap& column_tap : pass.columns.taps) {
        const std::int64_t w = t + column_tap.offset;
        if (h >= 0 && h < pass.rows.source_size && w >= 0 && w < pass.columns.source_size) {
          const float* from = products + (h - first_row) * row_pitch + w * pitch + tap;
          for (int c = 0; c < channels; ++c) sums[c] += from[c];
        }
        tap += channels;
      }
    }
    for (int c = 0; c < channels; ++c)
      target[t * pass.target_stride + c] =
          activate(sums[c] + (pass.bias ? pass.bias[c] : 0), pass.activation);
  }
}

}  // namespace

bool is_thin(const Pass<float>& pass) {
  return pass.target_channels >= 1 && pass.target_channels <= 4 && pass.source_channels >= 16 &&
         pass.taps() > 1 && pass.taps() <= 64 && pass.rows.source_step == 1 &&
         pass.columns.source_step == 1 && pass.rows.target_step == 1 &&
         pass.columns.target_step == 1;
}

void run_thin(const Pass<float>& pass) {
  const std::int64_t channels = pass.target_channels, in = pass.source_channels;
  const std::int64_t pitch = (pass.taps() * channels + 15) / 16 * 16;
  float* weights = scratch<Weights, float>(in * pitch);
  std::fill_n(weights, in * pitch, 0.0f);
  std::int64_t column = 0;
  std::int64_t above = pass.rows.taps[0].offset, below = above;
  for (const Tap& row : pass.rows.taps) {
    above = std::min(above, row.offset);
    below = std::max(below, row.offset);
    for (const Tap& tap : pass.columns.taps)
      for (std::int64_t o = 0; o < channels; ++o, ++column)
        for (std::int64_t c = 0; c < in; ++c)
          weights[c * pitch + column] =
              pass.weight[row.kernel_index * pass.kernel_width + tap.kernel_index +
                          c * pass.weight_source + o * pass.weight_target];
  }

  // A task: some rows of one image, whose products with `reach` more rows fit the second cache.
  const std::int64_t width = pass.columns.source_size, reach = below - above;
  const std::int64_t task_rows =
      std::max<std::int64_t>({1, reach, 4096 / std::max<std::int64_t>(1, width)});
  const std::int64_t tasks = (pass.rows.count + task_rows - 1) / task_rows;
  parallel_for(pass.n * tasks, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t image = task / tasks, row = task % tasks * task_rows;
    const std::int64_t rows = std::min(task_rows, pass.rows.count - row);
    const std::int64_t first = std::clamp<std::int64_t>(row + above, 0, pass.rows.source_size);
    const std::int64_t last =
        std::clamp<std::int64_t>(row + rows + below, first, pass.rows.source_size);
    float* products = scratch<Products, float>((task_rows + reach) * width * pitch);
    const float* source =
        pass.source + (image * pass.rows.source_size + first) * width * pass.source_stride;
    gemm((last - first) * width, pitch, in, {source, pass.source_stride, 1}, {weights, pitch, 1},
         products, pitch);
    for (std::int64_t r = row; r < row + rows; ++r) {
      float* target = pass.target_pixel((image * pass.rows.count + r) * pass.columns.count);
      const auto sum = channels == 1   ? sum_row<1>
                       : channels == 2 ? sum_row<2>
                       : channels == 3 ? sum_row<3>
                                       : sum_row<4>;
      sum(pass, r, products, first, pitch, target);
    }
  });
}

}  // namespace ebb::cpu::lattice
