#include <ebb/tensor/backend/activation.h>
#include <ebb/tensor/cpu/conv/direct.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

#include <algorithm>

namespace ebb::cpu::direct {

namespace {

struct Weights;
struct Products;
struct Row;

// Target pixels of one row of one image from the products of the source rows around it, of which
// row h is at products + (h - first_row) * row_pitch. Four channels are summed, whose loops the
// compiler makes vectors of, and the pass's own are written.
void sum_row(const Pass<float>& pass, std::int64_t row, const float* products,
             std::int64_t first_row, std::int64_t pitch, float* target) {
  const std::int64_t count = pass.columns.count, size = pass.columns.source_size;
  float* __restrict sums = scratch<Row, float>(count * 4);
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t c = 0; c < 4; ++c)
      sums[t * 4 + c] = pass.bias && c < pass.target_channels ? pass.bias[c] : 0;
  std::int64_t tap = 0;
  for (const Tap& row_tap : pass.rows.taps) {
    const std::int64_t h = row + row_tap.offset;
    const bool inside = h >= 0 && h < pass.rows.source_size;
    for (const Tap& column_tap : pass.columns.taps) {
      const std::int64_t first = std::max<std::int64_t>(0, -column_tap.offset);
      const std::int64_t last = inside ? std::min(count, size - column_tap.offset) : first;
      const float* from = products + ((h - first_row) * size + column_tap.offset) * pitch + tap;
      for (std::int64_t t = first; t < last; ++t)
        for (std::int64_t c = 0; c < 4; ++c) sums[t * 4 + c] += from[t * pitch + c];
      tap += pass.target_channels;
    }
  }
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t c = 0; c < pass.target_channels; ++c)
      target[t * pass.target_stride + c] = activate(sums[t * 4 + c], pass.activation);
}

}  // namespace

bool has_few_outputs(const Pass<float>& pass) {
  return pass.target_channels >= 1 && pass.target_channels <= 4 && pass.source_channels >= 16 &&
         pass.taps() > 1 && pass.taps() <= 64 && pass.rows.source_step == 1 &&
         pass.columns.source_step == 1 && pass.rows.target_step == 1 &&
         pass.columns.target_step == 1;
}

void run_few_outputs(const Pass<float>& pass) {
  const std::int64_t channels = pass.target_channels, in = pass.source_channels;
  // sum_row reads four channels from the last tap's first on.
  const std::int64_t pitch = ((pass.taps() - 1) * channels + 4 + 15) / 16 * 16;
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

  // A task: rows of one image, chunk by chunk. The products of a chunk and of `reach` more rows
  // stay near; the next chunk keeps what it shares with the last. A single image is cut into four.
  const std::int64_t width = pass.columns.source_size, height = pass.rows.source_size;
  const std::int64_t reach = below - above, row_pitch = width * pitch;
  const std::int64_t chunk =
      std::max<std::int64_t>({1, reach, 512 / std::max<std::int64_t>(1, width)});
  const std::int64_t task_rows =
      std::clamp(pass.n * pass.rows.count / 4 / chunk, std::int64_t{1}, std::int64_t{8}) * chunk;
  const std::int64_t tasks = (pass.rows.count + task_rows - 1) / task_rows;
  parallel_for(pass.n * tasks, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t image = task / tasks, begin = task % tasks * task_rows;
    const std::int64_t end = std::min(begin + task_rows, pass.rows.count);
    float* products = scratch<Products, float>((chunk + reach) * row_pitch);
    std::int64_t first = 0, last = 0;  // rows that `products` has
    for (std::int64_t row = begin; row < end; row += chunk) {
      const std::int64_t stop = std::min(row + chunk, end);
      const std::int64_t wanted = std::clamp<std::int64_t>(row + above, 0, height);
      const std::int64_t kept = std::max<std::int64_t>(0, last - wanted);
      std::copy_n(products + (last - kept - first) * row_pitch, kept * row_pitch, products);
      first = wanted;
      last = std::clamp<std::int64_t>(stop + below, first, height);
      const float* source =
          pass.source + (image * height + first + kept) * width * pass.source_stride;
      gemm((last - first - kept) * width, pitch, in, {source, pass.source_stride, 1},
           {weights, pitch, 1}, products + kept * row_pitch, pitch);
      for (std::int64_t r = row; r < stop; ++r)
        sum_row(pass, r, products, first, pitch,
                pass.target_pixel((image * pass.rows.count + r) * pass.columns.count));
    }
  });
}

}  // namespace ebb::cpu::direct
