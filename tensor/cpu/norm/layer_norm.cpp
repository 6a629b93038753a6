// Normalisation of rows: what group normalisation is for one position and one group.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/norm/layer_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/vector_reductions-inl.h>
#include <ebb/tensor/cpu/norm/group_norm.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

#include <cmath>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {

struct Row;

template <class T>
void normalize_rows(const T* HWY_RESTRICT x, std::int64_t rows, std::int64_t n,
                    const T* HWY_RESTRICT weight, const T* HWY_RESTRICT bias, double eps,
                    T* HWY_RESTRICT y, T* mean, T* rstd) {
  T *HWY_RESTRICT d = scratch<Row, T>(2 * n), *HWY_RESTRICT squares = d + n;
  const double size = static_cast<double>(n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T shift = x[0];
    for (std::int64_t i = 0; i < n; ++i) d[i] = x[i] - shift;
    const double deviation = reduce_run<Sum>(d, n) / size;
    const T rest = static_cast<T>(deviation);
    for (std::int64_t i = 0; i < n; ++i) d[i] -= rest;
    for (std::int64_t i = 0; i < n; ++i) squares[i] = d[i] * d[i];
    const double factor = 1 / std::sqrt(reduce_run<Sum>(squares, n) / size + eps);
    mean[r] = static_cast<T>(static_cast<double>(shift) + deviation);
    rstd[r] = static_cast<T>(factor);
    const T scale = rstd[r];
    if (weight == nullptr) {
      for (std::int64_t i = 0; i < n; ++i) y[i] = d[i] * scale;
    } else {
      for (std::int64_t i = 0; i < n; ++i) y[i] = d[i] * scale * weight[i];
    }
    if (bias != nullptr)
      for (std::int64_t i = 0; i < n; ++i) y[i] += bias[i];
  }
}

// sums[i] += g, sums[n + i] += g n, in float64 after every few rows.
template <class T>
void rows_backward(const T* HWY_RESTRICT grad, const T* HWY_RESTRICT x, std::int64_t rows,
                   std::int64_t n, const T* HWY_RESTRICT weight, const T* mean, const T* rstd,
                   T* HWY_RESTRICT dx, double* HWY_RESTRICT sums) {
  constexpr std::int64_t run = 16;
  T *HWY_RESTRICT normal = scratch<Row, T>(5 * n), *HWY_RESTRICT inner = normal + n,
                  *HWY_RESTRICT product = inner + n, *HWY_RESTRICT db = product + n,
                  *HWY_RESTRICT dw = db + n;
  const double size = static_cast<double>(n);
  for (std::int64_t r = 0; r < rows; ++r, grad += n, x += n, dx += n) {
    if (r % run == 0)
      for (std::int64_t i = 0; i < 2 * n; ++i) db[i] = T(0);
    const T m = mean[r], scale = rstd[r];
    for (std::int64_t i = 0; i < n; ++i) {
      normal[i] = (x[i] - m) * scale;
      inner[i] = weight == nullptr ? grad[i] : grad[i] * weight[i];
      product[i] = inner[i] * normal[i];
      db[i] += grad[i];
      dw[i] += grad[i] * normal[i];
    }
    const T a = static_cast<T>(reduce_run<Sum>(inner, n) / size);
    const T b = static_cast<T>(reduce_run<Sum>(product, n) / size);
    for (std::int64_t i = 0; i < n; ++i) dx[i] = scale * (inner[i] - a - normal[i] * b);
    if (r % run == run - 1 || r == rows - 1)
      for (std::int64_t i = 0; i < 2 * n; ++i) sums[i] += static_cast<double>(db[i]);
  }
}

using ForwardFloat = decltype(&normalize_rows<float>);
using ForwardDouble = decltype(&normalize_rows<double>);
using BackwardFloat = decltype(&rows_backward<float>);
using BackwardDouble = decltype(&rows_backward<double>);
ForwardFloat forward_float() { return normalize_rows<float>; }
ForwardDouble forward_double() { return normalize_rows<double>; }
BackwardFloat backward_float() { return rows_backward<float>; }
BackwardDouble backward_double() { return rows_backward<double>; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(forward_float);
HWY_EXPORT(forward_double);
HWY_EXPORT(backward_float);
HWY_EXPORT(backward_double);

auto forward_of(float) { return EBB_DISPATCH(forward_float)(); }
auto forward_of(double) { return EBB_DISPATCH(forward_double)(); }
auto backward_of(float) { return EBB_DISPATCH(backward_float)(); }
auto backward_of(double) { return EBB_DISPATCH(backward_double)(); }

std::int64_t rows_per_task(std::int64_t n) {
  return std::max<std::int64_t>(16, (1 << 14) / std::max<std::int64_t>(1, n));
}

}  // namespace

template <class T>
void layer_norm(const T* x, std::int64_t rows, std::int64_t n, const T* weight, const T* bias,
                double eps, T* y, T* mean, T* rstd) {
  const auto run = forward_of(T());
  parallel_for(rows, rows_per_task(n), [&](std::int64_t begin, std::int64_t end) {
    run(x + begin * n, end - begin, n, weight, bias, eps, y + begin * n, mean + begin,
        rstd + begin);
  });
}

template <class T>
void layer_norm_backward(const T* grad, const T* x, std::int64_t rows, std::int64_t n,
                         const T* weight, const T* mean, const T* rstd, T* dx, T* dweight,
                         T* dbias) {
  const auto run = backward_of(T());
  const std::int64_t height = rows_per_task(n), tasks = (rows + height - 1) / height;
  std::vector<double> sums(static_cast<std::size_t>(tasks * 2 * n));
  parallel_for(rows, height, [&](std::int64_t begin, std::int64_t end) {
    run(grad + begin * n, x + begin * n, end - begin, n, weight, mean + begin, rstd + begin,
        dx + begin * n, sums.data() + begin / height * 2 * n);
  });
  if (dweight == nullptr) return;
  for (std::int64_t t = 1; t < tasks; ++t)
    for (std::int64_t i = 0; i < 2 * n; ++i) sums[i] += sums[t * 2 * n + i];
  for (std::int64_t i = 0; i < n; ++i) {
    dbias[i] = static_cast<T>(sums[i]);
    dweight[i] = static_cast<T>(sums[n + i]);
  }
}

template void layer_norm(const float*, std::int64_t, std::int64_t, const float*, const float*,
                         double, float*, float*, float*);
template void layer_norm(const double*, std::int64_t, std::int64_t, const double*, const double*,
                         double, double*, double*, double*);
template void layer_norm_backward(const float*, const float*, std::int64_t, std::int64_t,
                                  const float*, const float*, const float*, float*, float*, float*);
template void layer_norm_backward(const double*, const double*, std::int64_t, std::int64_t,
                                  const double*, const double*, const double*, double*, double*,
                                  double*);

}  // namespace ebb::cpu
#endif  // HWY_ONCE
