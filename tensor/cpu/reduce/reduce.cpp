// Sums and extremes along one dimension.
//
// Every result is built up in an order that its own sizes fix: blocks of fixed size, fixed lanes
// within a block, blocks joined from first to last.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/reduce/reduce.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/common/vector_reductions-inl.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

// result[r] = row r of x (rows, n) joined.
template <class Op, class T>
void runs(const void* x, std::int64_t rows, std::int64_t n, void* result) {
  const T* from = static_cast<const T*>(x);
  auto* to = static_cast<typename Op::template Value<T>*>(result);
  for (std::int64_t r = 0; r < rows; ++r) to[r] = reduce_run<Op>(from + r * n, n);
}

template <class Op, class T>
void columns(const void* x, std::int64_t rows, std::int64_t count, std::int64_t stride,
             void* result) {
  reduce_columns<Op>(static_cast<const T*>(x), rows, count, stride,
                     static_cast<typename Op::template Value<T>*>(result));
}

using Runs = decltype(&runs<Sum, float>);
using Columns = decltype(&columns<Sum, float>);

template <class Op>
Runs runs_of(DType dtype) {
  return dispatch_all(dtype, [](auto zero) { return runs<Op, decltype(zero)>; });
}

template <class Op>
Columns columns_of(DType dtype) {
  return dispatch_all(dtype, [](auto zero) { return columns<Op, decltype(zero)>; });
}

Runs find_runs(Reduction reduction, DType dtype) {
  if (reduction == Reduction::sum) return runs_of<Sum>(dtype);
  return reduction == Reduction::amax ? runs_of<Largest>(dtype) : runs_of<Smallest>(dtype);
}

Columns find_columns(Reduction reduction, DType dtype) {
  if (reduction == Reduction::sum) return columns_of<Sum>(dtype);
  return reduction == Reduction::amax ? columns_of<Largest>(dtype) : columns_of<Smallest>(dtype);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(find_runs);
HWY_EXPORT(find_columns);

constexpr std::int64_t block_elements = 1 << 16;  // that one task reads
constexpr std::int64_t max_columns = 256;

// T is the elements' type, V that of results under way.
template <class T, class V>
void reduce(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out) {
  const auto run = EBB_DISPATCH(find_runs)(reduction, x.dtype());
  const auto column = EBB_DISPATCH(find_columns)(reduction, x.dtype());
  const std::int64_t outer = along.outer, n = along.n, inner = along.inner;
  const T* from = input<T>(x);
  T* to = output<T>(out);
  const std::int64_t columns = std::min(inner, max_columns);
  const std::int64_t rows = std::max<std::int64_t>(1, block_elements / columns);
  const std::int64_t chunks = (inner + columns - 1) / columns;
  const std::int64_t blocks = std::max<std::int64_t>(1, (n + rows - 1) / rows);
  const std::int64_t task = std::max<std::int64_t>(1, std::min(n, rows) * columns);
  if (inner == 1 && blocks == 1) {
    const std::int64_t batch = std::max<std::int64_t>(1, block_elements / task);
    parallel_for(outer, batch, [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t at_once = 256;
      V local[at_once];
      for (std::int64_t o = begin; o < end; o += at_once) {
        const std::int64_t count = std::min(at_once, end - o);
        run(from + o * n, count, n, local);
        for (std::int64_t i = 0; i < count; ++i) to[o + i] = static_cast<T>(local[i]);
      }
    });
    return;
  }
  // parts[o][b][i]: block b's part of result (o, i).
  std::vector<V> parts(static_cast<std::size_t>(blocks > 1 ? outer * blocks * inner : 0));
  parallel_for(outer * blocks * chunks, std::max<std::int64_t>(1, block_elements / task),
               [&](std::int64_t begin, std::int64_t end) {
                 V local[max_columns];
                 for (std::int64_t t = begin; t < end; ++t) {
                   const std::int64_t first = t % chunks * columns, o = t / chunks / blocks;
                   const std::int64_t b = t / chunks % blocks, row = b * rows;
                   const std::int64_t width = std::min(columns, inner - first);
                   const std::int64_t height = std::min(rows, n - row);
                   const T* source = from + (o * n + row) * inner + first;
                   V* target = blocks > 1 ? parts.data() + (o * blocks + b) * inner + first : local;
                   if (inner == 1) {
                     run(source, 1, height, target);
                   } else {
                     column(source, height, width, inner, target);
                   }
                   if (blocks > 1) continue;
                   for (std::int64_t i = 0; i < width; ++i)
                     to[o * inner + first + i] = static_cast<T>(local[i]);
                 }
               });
  if (blocks == 1) return;
  const auto join = EBB_DISPATCH(find_columns)(reduction, dtype_of<V>());
  std::vector<V> joined(static_cast<std::size_t>(inner));
  for (std::int64_t o = 0; o < outer; ++o) {
    join(parts.data() + o * blocks * inner, blocks, inner, inner, joined.data());
    for (std::int64_t i = 0; i < inner; ++i)
      to[o * inner + i] = static_cast<T>(joined[static_cast<std::size_t>(i)]);
  }
}

void reduce(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out) {
  if (out.numel() == 0) return;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Sums =
        std::conditional_t<std::is_floating_point_v<T>, double, T>;  // see vector_reductions-inl.h
    if (reduction == Reduction::sum) return reduce<T, Sums>(reduction, x, along, out);
    reduce<T, T>(reduction, x, along, out);
  });
}

}  // namespace

void add_reduce_kernels(Kernels& table) { table.reduce = reduce; }

}  // namespace ebb::cpu
#endif  // HWY_ONCE
