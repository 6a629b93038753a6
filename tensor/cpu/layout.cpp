// Moving elements: strided copies, and rows chosen by an index.
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/walk.h>

#include <cstring>

namespace ebb::cpu {

namespace {

constexpr std::int64_t grain = 1 << 15;

// A block of rows and columns, by tiles where neighbours in memory change from one side to the
// other, so that each cache line is used whole.
template <class T>
void copy_block(const T* from, std::int64_t from_row, std::int64_t from_step, T* to,
                std::int64_t to_row, std::int64_t to_step, std::int64_t rows,
                std::int64_t columns) {
  constexpr std::int64_t tile = 16;
  const bool crossed = from_step != 1 || to_step != 1;
  const std::int64_t height = crossed ? tile : rows, width = crossed ? tile : columns;
  for (std::int64_t r0 = 0; r0 < rows; r0 += height)
    for (std::int64_t c0 = 0; c0 < columns; c0 += width)
      for (std::int64_t r = r0; r < std::min(rows, r0 + height); ++r) {
        const T* source = from + r * from_row;
        T* target = to + r * to_row;
        const std::int64_t end = std::min(columns, c0 + width);
        if (!crossed) {
          for (std::int64_t c = c0; c < end; ++c) target[c] = source[c];
        } else {
          for (std::int64_t c = c0; c < end; ++c) target[c * to_step] = source[c * from_step];
        }
      }
}

void copy_view(const Tensor& x, const View& from, Tensor& out, const View& to, const Shape& shape) {
  const Walk<2> walk(shape, {from.strides, to.strides});
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

void gather(const Tensor& x, const Along& along, const Tensor& index, const View& at, Tensor& out) {
  const auto [outer, n, inner] = along;
  if (out.numel() == 0) return;
  const std::int64_t k = out.numel() / (outer * inner);
  const std::int64_t* indices = input<std::int64_t>(index);
  const auto [o_step, j_step, i_step] = std::array{at.strides[0], at.strides[1], at.strides[2]};
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
void scatter_add(const Tensor& grad, const Along& along, const Tensor& index, const View& at,
                 Tensor& x) {
  const auto [outer, n, inner] = along;
  if (grad.numel() == 0) return;
  const std::int64_t k = grad.numel() / (outer * inner);
  const std::int64_t* indices = input<std::int64_t>(index);
  const auto [o_step, j_step, i_step] = std::array{at.strides[0], at.strides[1], at.strides[2]};
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
  table.copy_view = copy_view;
  table.gather = gather;
  table.scatter_add = scatter_add;
}

}  // namespace ebb::cpu
