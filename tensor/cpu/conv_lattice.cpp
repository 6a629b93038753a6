#include <ebb/tensor/cpu/activation.h>
#include <ebb/tensor/cpu/conv_lattice.h>
#include <ebb/tensor/cpu/gemm.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>

#include <algorithm>

namespace ebb::cpu::lattice {

namespace {

constexpr std::int64_t block_pixels = 256;

// One lattice of one group. `source` and `target` point at the group's first channel.
template <class T>
struct Pass {
  std::int64_t n;
  Axis rows, columns;
  const T* source;
  std::int64_t source_channels, source_stride;  // in the group, in the pixel
  T* target;
  std::int64_t target_channels, target_stride, target_height, target_width;
  const T* matrix;  // [tap][source channel][target channel]
  const T* bias;
  Activation activation;
};

struct Columns;
struct Product;
struct WeightMatrix;

template <class T>
void run(const Pass<T>& pass) {
  const Axis &rows = pass.rows, &columns = pass.columns;
  const std::int64_t depth =
      static_cast<std::int64_t>(rows.taps.size() * columns.taps.size()) * pass.source_channels;
  const std::int64_t image = rows.source_size * columns.source_size * pass.source_stride;
  const std::int64_t pixels = pass.n * rows.count * columns.count;
  const Epilogue<T> epilogue{false, pass.bias, pass.activation};
  parallel_for(pixels, block_pixels, [&](std::int64_t begin, std::int64_t end) {
    T* gathered = scratch<Columns, T>(block_pixels * depth);
    T* product = scratch<Product, T>(block_pixels * pass.target_channels);
    for (std::int64_t p = begin; p < end; ++p)
      gather(rows, columns, p / columns.count % rows.count, p % columns.count,
             pass.source + p / (columns.count * rows.count) * image, pass.source_channels,
             pass.source_stride, gathered + (p - begin) * depth);
    gemm(end - begin, pass.target_channels, depth, {gathered, depth, 1},
         {pass.matrix, pass.target_channels, 1}, product, pass.target_channels, epilogue);
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t row = rows.first + p / columns.count % rows.count * rows.target_step;
      const std::int64_t column = columns.first + p % columns.count * columns.target_step;
      const std::int64_t sample = p / (columns.count * rows.count);
      std::copy_n(product + (p - begin) * pass.target_channels, pass.target_channels,
                  pass.target + ((sample * pass.target_height + row) * pass.target_width + column) *
                                    pass.target_stride);
    }
  });
}

// [tap][source channel][target channel] of one group, from weight[o][c][i][j].
template <class T>
const T* weight_matrix(const ConvGeometry& g, const Axis& rows, const Axis& columns,
                       std::int64_t group, bool forward, const T* weight) {
  const std::int64_t in = g.group_in(), out = g.group_out();
  const std::int64_t area = g.kernel[0] * g.kernel[1];
  const auto taps = static_cast<std::int64_t>(rows.taps.size() * columns.taps.size());
  T* matrix = scratch<WeightMatrix, T>(taps * in * out);
  const T* from = weight + group * out * in * area;
  T* to = matrix;
  for (const Tap& row : rows.taps)
    for (const Tap& column : columns.taps) {
      const T* tap = from + row.kernel_index * g.kernel[1] + column.kernel_index;
      if (forward) {
        for (std::int64_t c = 0; c < in; ++c)
          for (std::int64_t o = 0; o < out; ++o) *to++ = tap[(o * in + c) * area];
      } else {
        for (std::int64_t o = 0; o < out; ++o)
          for (std::int64_t c = 0; c < in; ++c) *to++ = tap[(o * in + c) * area];
      }
    }
  return matrix;
}

}  // namespace

Axis forward_axis(const ConvGeometry& g, int axis) {
  Axis result{axis == 0 ? g.ho : g.wo, 0, 1, g.stride[axis], axis == 0 ? g.h : g.w, {}};
  for (std::int64_t i = 0; i < g.kernel[axis]; ++i)
    result.taps.push_back({i, i * g.dilation[axis] - g.padding[axis]});
  return result;
}

// x pixel h meets tap i in y pixel (h + padding - i dilation) / stride, if that is whole.
std::vector<Axis> backward_axes(const ConvGeometry& g, int axis) {
  const std::int64_t stride = g.stride[axis], size = axis == 0 ? g.h : g.w;
  std::vector<Axis> phases;
  for (std::int64_t first = 0; first < std::min(stride, size); ++first) {
    Axis phase{(size - first + stride - 1) / stride, first, stride, 1, axis == 0 ? g.ho : g.wo, {}};
    for (std::int64_t i = 0; i < g.kernel[axis]; ++i) {
      const std::int64_t distance = first + g.padding[axis] - i * g.dilation[axis];
      if (distance % stride == 0) phase.taps.push_back({i, distance / stride});
    }
    phases.push_back(phase);
  }
  return phases;
}

template <class T>
void gather(const Axis& rows, const Axis& columns, std::int64_t row, std::int64_t column,
            const T* image, std::int64_t channels, std::int64_t stride, T* to) {
  for (const Tap& row_tap : rows.taps) {
    const std::int64_t h = row * rows.source_step + row_tap.offset;
    const bool inside = h >= 0 && h < rows.source_size;
    for (const Tap& column_tap : columns.taps) {
      const std::int64_t w = column * columns.source_step + column_tap.offset;
      if (inside && w >= 0 && w < columns.source_size)
        std::copy_n(image + (h * columns.source_size + w) * stride, channels, to);
      else
        std::fill_n(to, channels, T(0));
      to += channels;
    }
  }
}

template <class T>
void forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
             Activation activation, T* y) {
  const Axis rows = forward_axis(g, 0), columns = forward_axis(g, 1);
  for (std::int64_t group = 0; group < g.groups; ++group)
    run(Pass<T>{g.n, rows, columns, x + group * g.group_in(), g.group_in(), g.ci,
                y + group * g.group_out(), g.group_out(), g.co, g.ho, g.wo,
                weight_matrix(g, rows, columns, group, true, weight),
                bias ? bias + group * g.group_out() : nullptr, activation});
}

template <class T>
void backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                   Activation activation, T* dx) {
  for (const Axis& rows : backward_axes(g, 0))
    for (const Axis& columns : backward_axes(g, 1))
      for (std::int64_t group = 0; group < g.groups; ++group)
        run(Pass<T>{g.n, rows, columns, dy + group * g.group_out(), g.group_out(), g.co,
                    dx + group * g.group_in(), g.group_in(), g.ci, g.h, g.w,
                    weight_matrix(g, rows, columns, group, false, weight),
                    bias ? bias + group * g.group_in() : nullptr, activation});
}

template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const Axis rows = forward_axis(g, 0), columns = forward_axis(g, 1);
  const std::int64_t in = g.group_in(), out = g.group_out(), area = g.kernel[0] * g.kernel[1];
  const std::int64_t depth = area * in, plane = g.ho * g.wo, pixels = g.n * plane;
  if (pixels == 0) std::fill_n(dw, g.co * depth, T(0));
  for (std::int64_t group = 0; group < g.groups && pixels > 0; ++group) {
    T* sum = scratch<Product, T>(out * depth);
    T* gathered = scratch<Columns, T>(block_pixels * depth);
    for (std::int64_t begin = 0; begin < pixels; begin += block_pixels) {
      const std::int64_t count = std::min(block_pixels, pixels - begin);
      parallel_for(count, 32, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t p = begin + first; p < begin + last; ++p)
          gather(rows, columns, p / g.wo % g.ho, p % g.wo,
                 x + p / plane * g.h * g.w * g.ci + group * in, in, g.ci,
                 gathered + (p - begin) * depth);
      });
      gemm(out, depth, count, {dy + begin * g.co + group * out, 1, g.co}, {gathered, depth, 1}, sum,
           depth, Epilogue<T>{begin > 0});
    }
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t tap = 0; tap < area; ++tap)
        for (std::int64_t c = 0; c < in; ++c)
          dw[((group * out + o) * in + c) * area + tap] = sum[o * depth + tap * in + c];
  }
}

#define EBB_INSTANTIATE(T)                                                                        \
  template void gather(const Axis&, const Axis&, std::int64_t, std::int64_t, const T*,            \
                       std::int64_t, std::int64_t, T*);                                           \
  template void forward(const ConvGeometry&, const T*, const T*, const T*, Activation, T*);       \
  template void backward_data(const ConvGeometry&, const T*, const T*, const T*, Activation, T*); \
  template void backward_weights(const ConvGeometry&, const T*, const T*, T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

}  // namespace ebb::cpu::lattice
