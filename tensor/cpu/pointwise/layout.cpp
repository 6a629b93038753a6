// Moving elements: strided copies, and rows chosen by an index.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/reference/reference.h>

#include <vector>

namespace ebb::cpu {

namespace {

constexpr std::int64_t grain = 1 << 15;

constexpr std::int64_t tile = 16;

// to[r][c] = from[r][c] of a tile, through a buffer: each side is walked along its own lines.
template <class T>
void copy_tile(const T* from, std::int64_t from_row, std::int64_t from_step, T* to,
               std::int64_t to_row, std::int64_t to_step) {
  T buffer[tile][tile];
  for (std::int64_t c = 0; c < tile; ++c)
    for (std::int64_t r = 0; r < tile; ++r) buffer[c][r] = from[r * from_row + c * from_step];
  for (std::int64_t r = 0; r < tile; ++r)
    for (std::int64_t c = 0; c < tile; ++c) to[r * to_row + c * to_step] = buffer[c][r];
}

// A block of rows and columns, by tiles where neighbours in memory change from one side to the
// other, so that each cache line is used whole.
template <class T>
void copy_block(const T* from, std::int64_t from_row, std::int64_t from_step, T* to,
                std::int64_t to_row, std::int64_t to_step, std::int64_t rows,
                std::int64_t columns) {
  if (from_step == 1 && to_step == 1) {
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(from + r * from_row, columns, to + r * to_row);
    return;
  }
  for (std::int64_t r0 = 0; r0 < rows; r0 += tile)
    for (std::int64_t c0 = 0; c0 < columns; c0 += tile) {
      const T* source = from + r0 * from_row + c0 * from_step;
      T* target = to + r0 * to_row + c0 * to_step;
      const std::int64_t height = std::min(tile, rows - r0), width = std::min(tile, columns - c0);
      if (height == tile && width == tile) {
        copy_tile(source, from_row, from_step, target, to_row, to_step);
        continue;
      }
      for (std::int64_t r = 0; r < height; ++r)
        for (std::int64_t c = 0; c < width; ++c)
          target[r * to_row + c * to_step] = source[r * from_row + c * from_step];
    }
}

// Elements of a run from which on its length matters little.
constexpr std::int64_t enough = 16;

struct Step {
  std::int64_t size, from, to;
};

// The part of a line of the cache that elements `stride` apart use, about.
double density(std::int64_t stride) {
  return 1 / static_cast<double>(std::max<std::int64_t>(1, stride));
}

// The dimensions of a copy in a better order than their own, which copying is free to choose:
// last a long one along which one side is contiguous or nearly so, before it one for the other
// side.
std::vector<Step> ordered(const View& from, const View& to, const Shape& shape) {
  std::vector<Step> steps;
  for (std::size_t d = 0; d < static_cast<std::size_t>(shape.rank()); ++d) {
    const Step next{shape.begin()[d], from.strides[d], to.strides[d]};
    if (next.size == 1) continue;
    if (!steps.empty() && steps.back().from == next.from * next.size &&
        steps.back().to == next.to * next.size) {
      steps.back() = {steps.back().size * next.size, next.from, next.to};
    } else {
      steps.push_back(next);
    }
  }
  const auto move_to = [&](std::size_t place, const auto& worth) {
    if (steps.size() <= place) return;
    const auto end = steps.end() - static_cast<std::ptrdiff_t>(place);
    const auto best = std::max_element(
        steps.begin(), end, [&](const Step& a, const Step& b) { return worth(a) <= worth(b); });
    std::rotate(best, best + 1, end);
  };
  move_to(0, [](const Step& step) {
    return static_cast<double>(std::min(step.size, enough)) *
           (1 + 3 * density(step.to) + 2 * density(step.from));
  });
  const bool written = !steps.empty() && steps.back().to == 1;
  move_to(1, [&](const Step& step) {
    return std::min(step.size, enough) * ((written ? step.from : step.to) == 1 ? 4 : 1);
  });
  return steps;
}

void copy_view(const Tensor& x, const View& from, Tensor& out, const View& to, const Shape& shape) {
  std::vector<std::int64_t> sizes;
  std::array<Strides, 2> strides{};
  for (const Step& step : ordered(from, to, shape)) {
    strides[0][sizes.size()] = step.from;
    strides[1][sizes.size()] = step.to;
    sizes.push_back(step.size);
  }
  const StridedIterator<2> walk(Shape(sizes), strides);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* source = input<T>(x) + from.offset;
    T* target = output<T>(out) + to.offset;
    parallel_for(shape.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
      walk.run(begin, end, [&](const auto& piece) {
        copy_block(source + piece.offset[0], walk.row_step(0), walk.step(0),
                   target + piece.offset[1], walk.row_step(1), walk.step(1), piece.rows,
                   piece.columns);
      });
    });
  });
}

void gather(const Tensor& x, const AxisView& along, const Tensor& index, const View& at,
            Tensor& out) {
  const std::int64_t outer = along.outer, n = along.n, inner = along.inner;
  if (out.numel() == 0) return;
  const std::int64_t k = out.numel() / (outer * inner);
  const std::int64_t* indices = input<std::int64_t>(index);
  const std::int64_t o_step = at.strides[0], j_step = at.strides[1], i_step = at.strides[2];
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    parallel_for(outer * k, std::max<std::int64_t>(1, grain / inner),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const std::int64_t o = row / k, j = row % k;
                     const std::int64_t* chosen = indices + o * o_step + j * j_step;
                     const T* source = from + o * n * inner;
                     T* target = to + row * inner;
                     if (i_step == 0) {
                       std::copy_n(source + *chosen * inner, inner, target);
                     } else {
                       for (std::int64_t i = 0; i < inner; ++i)
                         target[i] = source[chosen[i * i_step] * inner + i];
                     }
                   }
                 });
  });
}

// Cut along outer and inner, never along j: what is added to one place is added in order.
void scatter_add(const Tensor& grad, const AxisView& along, const Tensor& index, const View& at,
                 Tensor& x) {
  const std::int64_t outer = along.outer, n = along.n, inner = along.inner;
  if (grad.numel() == 0) return;
  const std::int64_t k = grad.numel() / (outer * inner);
  const std::int64_t* indices = input<std::int64_t>(index);
  const std::int64_t o_step = at.strides[0], j_step = at.strides[1], i_step = at.strides[2];
  const std::int64_t columns = 64, chunks = (inner + columns - 1) / columns;
  dispatch_all(grad.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(grad);
    T* to = output<T>(x);
    parallel_for(outer * chunks, std::max<std::int64_t>(1, grain / (k * std::min(inner, columns))),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t o = task / chunks, first = task % chunks * columns;
                     const std::int64_t last = std::min(inner, first + columns);
                     for (std::int64_t j = 0; j < k; ++j) {
                       const std::int64_t* chosen = indices + o * o_step + j * j_step;
                       const T* source = from + (o * k + j) * inner;
                       T* target = to + o * n * inner;
                       for (std::int64_t i = first; i < last; ++i)
                         target[chosen[i * i_step] * inner + i] += source[i];
                     }
                   }
                 });
  });
}

}  // namespace

void add_layout_kernels(Kernels& table) {
  table.check_index = reference::check_index;
  table.copy_view = copy_view;
  table.gather = gather;
  table.scatter_add = scatter_add;
}

}  // namespace ebb::cpu
