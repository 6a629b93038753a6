// The loops of normalisation, compiled for every instruction set.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/norm/group_norm_loops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/norm/group_norm.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/scalar_math.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

constexpr std::int64_t run = 16;  // rows between additions in float64

struct Partial;

template <class T>
void add_to(double* __restrict sums, const T* __restrict partial, std::int64_t count) {
  for (std::int64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(partial[c]);
}

template <class T>
void sum_row(const T* __restrict x, std::int64_t channels, const T* __restrict shift,
             T* __restrict sum, T* __restrict squares) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const T d = x[c] - shift[c];
    sum[c] += d;
    squares[c] += d * d;
  }
}

template <class T>
void sum_four_rows(const T* __restrict x, std::int64_t channels, const T* __restrict shift,
                   T* __restrict sum, T* __restrict squares) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const T d0 = x[c] - shift[c], d1 = x[channels + c] - shift[c];
    const T d2 = x[2 * channels + c] - shift[c], d3 = x[3 * channels + c] - shift[c];
    sum[c] += (d0 + d1) + (d2 + d3);
    squares[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
  }
}

template <class T>
void sum_rows(const T* x, std::int64_t rows, std::int64_t channels, const T* shift, double* sums) {
  T* partial = scratch<Partial, T>(2 * channels);
  for (std::int64_t start = 0; start < rows; start += run) {
    const std::int64_t count = std::min(run, rows - start);
    std::fill(partial, partial + 2 * channels, T(0));
    std::int64_t r = 0;
    for (; r + 4 <= count; r += 4)
      sum_four_rows(x + (start + r) * channels, channels, shift, partial, partial + channels);
    for (; r < count; ++r)
      sum_row(x + (start + r) * channels, channels, shift, partial, partial + channels);
    add_to(sums, partial, 2 * channels);
  }
}

// Calls body(c, columns) for columns [c, c + columns), as many as fit a vector: 16, 4 or 1, as a
// constant.
template <class Body>
void by_columns(std::int64_t channels, const Body& body) {
  std::int64_t c = 0;
  for (; c + 16 <= channels; c += 16) body(c, std::integral_constant<int, 16>());
  for (; c + 4 <= channels; c += 4) body(c, std::integral_constant<int, 4>());
  for (; c < channels; ++c) body(c, std::integral_constant<int, 1>());
}

template <bool silu, int columns, class T>
void apply_columns(const T* __restrict x, std::int64_t rows, std::int64_t channels,
                   const T* __restrict shift, const T* __restrict scale, const T* __restrict bias,
                   T* __restrict y) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels) {
    hwy::Prefetch(x + run * channels);
    for (int c = 0; c < columns; ++c) {
      const T z = (x[c] - shift[c]) * scale[c] + bias[c];
      y[c] = silu ? z * detail::sigmoid(z) : z;
    }
  }
}

template <class T>
void apply_rows(const T* x, std::int64_t rows, std::int64_t channels, const T* shift,
                const T* scale, const T* bias, bool silu, T* y) {
  for (std::int64_t start = 0; start < rows; start += run) {
    const std::int64_t count = std::min(run, rows - start), at = start * channels;
    by_columns(channels, [&](std::int64_t c, auto columns) {
      const auto apply =
          silu ? apply_columns<true, columns(), T> : apply_columns<false, columns(), T>;
      apply(x + at + c, count, channels, shift + c, scale + c, bias + c, y + at + c);
    });
  }
}

template <bool silu, int columns, class T>
void gradient_columns(const T* grad, const T* __restrict x, std::int64_t rows,
                      std::int64_t channels, const T* __restrict mean, const T* __restrict scale,
                      const T* __restrict bias, T* inner, T* __restrict sum, T* __restrict dots) {
  T s[columns] = {}, t[columns] = {}, g[columns];
  for (std::int64_t r = 0; r < rows; ++r, grad += channels, x += channels, inner += channels) {
    hwy::Prefetch(grad + run * channels);
    hwy::Prefetch(x + run * channels);
    for (int c = 0; c < columns; ++c) {
      const T d = x[c] - mean[c];
      g[c] = silu ? grad[c] * detail::silu_derivative(d * scale[c] + bias[c]) : grad[c];
      s[c] += g[c];
      t[c] += g[c] * d;
    }
    if (silu) std::copy_n(g, columns, inner);
  }
  for (int c = 0; c < columns; ++c) sum[c] = s[c], dots[c] = t[c];
}

template <class T>
void gradient_rows(const T* grad, const T* x, std::int64_t rows, std::int64_t channels,
                   const T* mean, const T* scale, const T* bias, bool silu, T* inner,
                   double* sums) {
  T* partial = scratch<Partial, T>(2 * channels);
  for (std::int64_t start = 0; start < rows; start += run) {
    const std::int64_t count = std::min(run, rows - start), at = start * channels;
    by_columns(channels, [&](std::int64_t c, auto columns) {
      const auto gradient =
          silu ? gradient_columns<true, columns(), T> : gradient_columns<false, columns(), T>;
      gradient(grad + at + c, x + at + c, count, channels, mean + c, scale + c, bias + c,
               inner + at + c, partial + c, partial + channels + c);
    });
    add_to(sums, partial, 2 * channels);
  }
}

template <class T>
void combine_rows(const T* inner, const T* x, std::int64_t rows, std::int64_t channels,
                  const T* __restrict mean, const T* __restrict p, const T* __restrict q,
                  const T* __restrict r, T* dx) {
  for (std::int64_t at = 0; at < rows * channels; at += channels)
    for (std::int64_t c = 0; c < channels; ++c)
      dx[at + c] = inner[at + c] * p[c] - q[c] - (x[at + c] - mean[c]) * r[c];
}

template <class T>
NormLoops<T> loops() {
  return {sum_rows<T>, apply_rows<T>, gradient_rows<T>, combine_rows<T>};
}
NormLoops<float> loops_float() { return loops<float>(); }
NormLoops<double> loops_double() { return loops<double>(); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(loops_float);
HWY_EXPORT(loops_double);

}  // namespace

template <>
NormLoops<float> norm_loops<float>() {
  return EBB_DISPATCH(loops_float)();
}
template <>
NormLoops<double> norm_loops<double>() {
  return EBB_DISPATCH(loops_double)();
}

}  // namespace ebb::cpu
#endif  // HWY_ONCE
