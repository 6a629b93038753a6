// Running sums and products, and sorting: each works on whole columns (o, :, i) of a
// tensor seen as (outer, n, inner).
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>

namespace ebb::cpu {

namespace {

// Calls body(offset) for the first element of each column.
template <class Body>
void for_columns(const Along& along, const Body& body) {
  const std::int64_t n = along.n, inner = along.inner;
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / std::max<std::int64_t>(1, n));
  parallel_for(along.outer * inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i / inner * n * inner + i % inner);
  });
}

// As in sums, float32 runs in float64 and integers wrap around.
template <class T>
using Running = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;

void scan(Scan kind, const Tensor& x, const Along& along, Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    for_columns(along, [=](std::int64_t first) {
      Running<T> value = kind == Scan::sum ? 0 : 1;
      for (std::int64_t j = 0, at = first; j < n; ++j, at += step) {
        const auto next = static_cast<Running<T>>(from[at]);
        value = kind == Scan::sum ? value + next : value * next;
        to[at] = static_cast<T>(value);
      }
    });
  });
}

// dx_k = sum_{i >= k} g_i prod_{j <= i, j != k} x_j. Before the first zero, at z, that product is
// y_i / x_k, and nothing from z on counts; at z the products go on without x_z; behind it all are
// zero.
void cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Along& along,
                      Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_floating("cumprod_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *gs = input<T>(grad), *xs = input<T>(x), *ys = input<T>(y);
    T* to = output<T>(out);
    for_columns(along, [=](std::int64_t first) {
      std::int64_t z = 0;
      while (z < n && xs[first + z * step] != T(0)) ++z;
      double tail = 0;
      for (std::int64_t k = z; k-- > 0;) {
        const std::int64_t at = first + k * step;
        tail += static_cast<double>(gs[at]) * static_cast<double>(ys[at]);
        to[at] = static_cast<T>(tail / static_cast<double>(xs[at]));
      }
      double product = z == 0 ? 1 : static_cast<double>(ys[first + (z - 1) * step]), total = 0;
      for (std::int64_t k = z; k < n; ++k) {
        const std::int64_t at = first + k * step;
        if (k > z) product *= static_cast<double>(xs[at]);
        total += static_cast<double>(gs[at]) * product;
        to[at] = T(0);
      }
      if (z < n) to[first + z * step] = static_cast<T>(total);
    });
  });
}

// Of contiguous columns; a NaN counts as larger than everything. Stable, for 0 and -0.
void sort(const Tensor& x, const Along& along, Tensor& out) {
  const std::int64_t n = along.n;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    for_columns(along, [=](std::int64_t first) {
      std::copy(from + first, from + first + n, to + first);
      std::stable_sort(to + first, to + first + n,
                       [](T a, T b) { return a < b || (a == a && b != b); });
    });
  });
}

}  // namespace

void add_along_kernels(Kernels& table) {
  table.scan = scan;
  table.cumprod_backward = cumprod_backward;
  table.sort = sort;
}

}  // namespace ebb::cpu
