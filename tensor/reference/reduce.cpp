// Along one dimension of a tensor seen as (outer, n, inner): column i is the n elements `inner`
// apart from first_of(i) on.
#include <ebb/tensor/reference/reference.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ebb::reference {

namespace {

std::int64_t first_of(std::int64_t column, const AxisView& along) {
  return column / along.inner * along.n * along.inner + column % along.inner;
}

// Sums run in float64, those of integers wrap around.
template <class T>
using Running = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;

template <class T>
T extreme(bool largest, const T* x, std::int64_t n, std::int64_t step) {
  T best = x[0];
  for (std::int64_t j = 1; j < n; ++j) {
    const T value = x[j * step];
    if (value != value || (largest ? value > best : value < best)) best = value;
    if (best != best) return best;
  }
  return best;
}

void reduce(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i) {
      const T* column = input<T>(x) + first_of(i, along);
      if (reduction != Reduction::sum) {
        output<T>(out)[i] = extreme(reduction == Reduction::amax, column, along.n, along.inner);
        continue;
      }
      Running<T> sum = 0;
      for (std::int64_t j = 0; j < along.n; ++j)
        sum += static_cast<Running<T>>(column[j * along.inner]);
      output<T>(out)[i] = static_cast<T>(sum);
    }
  });
}

void softmax(bool logarithm, const Tensor& x, const AxisView& along, Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_floating("softmax", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; n > 0 && i < x.numel() / n; ++i) {
      const T* from = input<T>(x) + first_of(i, along);
      T* to = output<T>(out) + first_of(i, along);
      const double largest = double(extreme(true, from, n, step));
      double total = 0;
      for (std::int64_t j = 0; j < n; ++j) total += std::exp(double(from[j * step]) - largest);
      for (std::int64_t j = 0; j < n; ++j) {
        const double shifted = double(from[j * step]) - largest;
        to[j * step] = T(logarithm ? shifted - std::log(total) : std::exp(shifted) / total);
      }
    }
  });
}

void softmax_backward(bool logarithm, const Tensor& grad, const Tensor& y, const AxisView& along,
                      Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_floating("softmax_backward", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; n > 0 && i < y.numel() / n; ++i) {
      const std::int64_t first = first_of(i, along);
      const T *g = input<T>(grad) + first, *value = input<T>(y) + first;
      T* to = output<T>(out) + first;
      double total = 0;
      for (std::int64_t j = 0; j < n * step; j += step)
        total += double(g[j]) * (logarithm ? 1 : double(value[j]));
      for (std::int64_t j = 0; j < n * step; j += step)
        to[j] = logarithm ? T(double(g[j]) - std::exp(double(value[j])) * total)
                          : T(double(value[j]) * (double(g[j]) - total));
    }
  });
}

}  // namespace

// The first NaN, if there is one, counts as the largest.
void argmax(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
            Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = begin; i < end; ++i) {
      const T* column = input<T>(x) + first_of(i, along);
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < n; ++j) {
        const T value = column[j * step], largest = column[best * step];
        if (value > largest || (value != value && largest == largest)) best = j;
      }
      output<std::int64_t>(out)[i] = best;
    }
  });
}

void scan(Scan kind, const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
          Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    for (std::int64_t i = begin; i < end; ++i) {
      Running<T> value = kind == Scan::sum ? 0 : 1;
      for (std::int64_t j = 0, at = first_of(i, along); j < n; ++j, at += step) {
        const auto next = static_cast<Running<T>>(from[at]);
        value = kind == Scan::sum ? value + next : value * next;
        to[at] = static_cast<T>(value);
      }
    }
  });
}

// dx_k = sum_{i >= k} g_i prod_{j <= i, j != k} x_j. Before the first zero, at z, that product is
// y_i / x_k, and nothing from z on counts; at z the products go on without x_z; behind it all are
// zero.
void cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const AxisView& along,
                      std::int64_t begin, std::int64_t end, Tensor& out) {
  const std::int64_t n = along.n, step = along.inner;
  dispatch_floating("cumprod_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *gs = input<T>(grad), *xs = input<T>(x), *ys = input<T>(y);
    T* to = output<T>(out);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = first_of(i, along);
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
    }
  });
}

// Of contiguous columns; a NaN counts as larger than everything. Stable, for 0 and -0.
void sort(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
          Tensor& out) {
  const std::int64_t n = along.n;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = begin; i < end; ++i) {
      T* to = output<T>(out) + i * n;
      std::copy_n(input<T>(x) + i * n, n, to);
      std::stable_sort(to, to + n, [](T a, T b) { return a < b || (a == a && b != b); });
    }
  });
}

// The places of what sort gives, in the same order.
void argsort(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
             Tensor& out) {
  const std::int64_t n = along.n;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = begin; i < end; ++i) {
      const T* from = input<T>(x) + i * n;
      std::int64_t* to = output<std::int64_t>(out) + i * n;
      std::iota(to, to + n, 0);
      std::stable_sort(to, to + n, [from](std::int64_t a, std::int64_t b) {
        return from[a] < from[b] || (from[a] == from[a] && from[b] != from[b]);
      });
    }
  });
}

void add_reduce_kernels(Kernels& table) {
  table.reduce = reduce;
  table.softmax = softmax;
  table.softmax_backward = softmax_backward;
  table.argmax = [](const Tensor& x, const AxisView& along, Tensor& out) {
    argmax(x, along, 0, out.numel(), out);
  };
  table.scan = [](Scan kind, const Tensor& x, const AxisView& along, Tensor& out) {
    scan(kind, x, along, 0, along.outer * along.inner, out);
  };
  table.cumprod_backward = [](const Tensor& grad, const Tensor& x, const Tensor& y,
                              const AxisView& along, Tensor& out) {
    cumprod_backward(grad, x, y, along, 0, along.outer * along.inner, out);
  };
  table.argsort = [](const Tensor& x, const AxisView& along, Tensor& out) {
    argsort(x, along, 0, along.outer, out);
  };
  table.sort = [](const Tensor& x, const AxisView& along, Tensor& out) {
    sort(x, along, 0, along.outer, out);
  };
}

}  // namespace ebb::reference
