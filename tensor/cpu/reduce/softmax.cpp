#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/reduce/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/common/vector_reductions-inl.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/scalar_math.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

struct Exponentials;
struct Products;

// y = softmax(x) along each of `rows` rows of n, or its logarithm; y may be x.
template <class T>
void softmax_rows(bool logarithm, const T* x, std::int64_t rows, std::int64_t n, T* y) {
  T* e = scratch<Exponentials, T>(n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T largest = reduce_run<Largest>(x, n);
    for (std::int64_t i = 0; i < n; ++i) e[i] = detail::exp(x[i] - largest);
    const double total = reduce_run<Sum>(e, n);
    if (logarithm) {
      const T shift = static_cast<T>(std::log(total));
      for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] - largest - shift;
    } else {
      const T scale = static_cast<T>(1 / total);
      for (std::int64_t i = 0; i < n; ++i) y[i] = e[i] * scale;
    }
  }
}

// dx from y and the gradient by it; dx may be grad.
template <class T>
void softmax_rows_backward(bool logarithm, const T* grad, const T* y, std::int64_t rows,
                           std::int64_t n, T* dx) {
  T* product = scratch<Products, T>(n);
  for (std::int64_t r = 0; r < rows; ++r, grad += n, y += n, dx += n) {
    if (logarithm) {
      const T total = static_cast<T>(reduce_run<Sum>(grad, n));
      for (std::int64_t i = 0; i < n; ++i) dx[i] = grad[i] - detail::exp(y[i]) * total;
    } else {
      for (std::int64_t i = 0; i < n; ++i) product[i] = grad[i] * y[i];
      const T total = static_cast<T>(reduce_run<Sum>(product, n));
      for (std::int64_t i = 0; i < n; ++i) dx[i] = y[i] * (grad[i] - total);
    }
  }
}

// Calls body(first, rows) for the runs of n elements along the dimension: `rows` neighbours where
// they lie side by side, else one.
template <class Body>
void for_rows(const AxisView& along, const Body& body) {
  const std::int64_t outer = along.outer, n = along.n, inner = along.inner;
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / std::max<std::int64_t>(1, n));
  parallel_for(outer * inner, grain, [&](std::int64_t begin, std::int64_t end) {
    if (inner == 1) return body(begin * n, end - begin);
    for (std::int64_t i = begin; i < end; ++i) body(i / inner * n * inner + i % inner, 1);
  });
}

// A run whose elements are `step` apart, side by side.
template <class T>
void pack(const T* from, std::int64_t n, std::int64_t step, T* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}
template <class T>
void unpack(const T* from, std::int64_t n, std::int64_t step, T* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i * step] = from[i];
}

struct Packed;

void softmax_target(bool logarithm, const Tensor& x, const AxisView& along, Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  if (x.numel() == 0) return;
  dispatch_floating("softmax", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows(along, [&](std::int64_t first, std::int64_t rows) {
      if (step == 1)
        return softmax_rows(logarithm, input<T>(x) + first, rows, n, output<T>(out) + first);
      T* row = scratch<Packed, T>(n);
      pack(input<T>(x) + first, n, step, row);
      softmax_rows(logarithm, row, 1, n, row);
      unpack(row, n, step, output<T>(out) + first);
    });
  });
}

void softmax_backward_target(bool logarithm, const Tensor& grad, const Tensor& y,
                             const AxisView& along, Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  if (y.numel() == 0) return;
  dispatch_floating("softmax_backward", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows(along, [&](std::int64_t first, std::int64_t rows) {
      const T *gs = input<T>(grad) + first, *ys = input<T>(y) + first;
      if (step == 1)
        return softmax_rows_backward(logarithm, gs, ys, rows, n, output<T>(out) + first);
      T *g = scratch<Packed, T>(2 * n), *value = g + n;
      pack(gs, n, step, g);
      pack(ys, n, step, value);
      softmax_rows_backward(logarithm, g, value, 1, n, g);
      unpack(g, n, step, output<T>(out) + first);
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(softmax_target);
HWY_EXPORT(softmax_backward_target);

void softmax(bool logarithm, const Tensor& x, const AxisView& along, Tensor& out) {
  EBB_DISPATCH(softmax_target)(logarithm, x, along, out);
}

void softmax_backward(bool logarithm, const Tensor& grad, const Tensor& y, const AxisView& along,
                      Tensor& out) {
  EBB_DISPATCH(softmax_backward_target)(logarithm, grad, y, along, out);
}

}  // namespace

void add_softmax_kernels(Kernels& table) {
  table.softmax = softmax;
  table.softmax_backward = softmax_backward;
}

}  // namespace ebb::cpu
#endif  // HWY_ONCE
