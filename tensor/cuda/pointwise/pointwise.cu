// A thread an element; the functions are the list's (tensor/ops/pointwise.h).
#include <ebb/tensor/cuda/common/walk.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>
#include <ebb/tensor/scalar_math.h>

namespace ebb::cuda {

namespace {

template <Unary function, class T>
__device__ T unary_value(T x, [[maybe_unused]] T a, [[maybe_unused]] T b) {
#define EBB_CASE(name, value, gradient)                                    \
  if constexpr (function == Unary::name &&                                 \
                (std::is_floating_point_v<T> || takes_integers(function))) \
    return T(value);
  EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
  return x;
}

template <Unary function, class T>
__device__ T unary_gradient(T g, [[maybe_unused]] T x, [[maybe_unused]] T y, [[maybe_unused]] T a,
                            [[maybe_unused]] T b) {
#define EBB_CASE(name, value, gradient) \
  if constexpr (function == Unary::name) return gradient;
  EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
}

template <Binary function, class T>
__device__ T binary_value(T a, T b) {
#define EBB_CASE(name, value, ...)                                         \
  if constexpr (function == Binary::name &&                                \
                (std::is_floating_point_v<T> || takes_integers(function))) \
    return static_cast<T>(value);
  EBB_BINARY_LIST(EBB_CASE)
  EBB_COMPARISON_LIST(EBB_CASE)
#undef EBB_CASE
  return a;
}

template <Unary function, class T>
__global__ void unary_kernel(std::int64_t n, const T* x, T a, T b, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count())
    out[i] = unary_value<function>(x[i], a, b);
}

template <Unary function, class T>
__global__ void unary_backward_kernel(std::int64_t n, const T* grad, const T* x, const T* y, T a,
                                      T b, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count())
    out[i] = unary_gradient<function>(grad[i], x[i], y[i], a, b);
}

template <Binary function, class T>
__global__ void binary_kernel(std::int64_t n, Walk walk, Source<T> a, Source<T> b, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count())
    out[i] = binary_value<function>(a.at(walk, i), b.at(walk, i));
}

template <class T>
__global__ void where_kernel(std::int64_t n, Walk walk, Source<T> condition, Source<T> a,
                             Source<T> b, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count())
    out[i] = condition.at(walk, i) != T(0) ? a.at(walk, i) : b.at(walk, i);
}

template <class T>
__global__ void axpby_kernel(std::int64_t n, T a, const T* x, T b, const T* y, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count()) out[i] = a * x[i] + b * y[i];
}

void unary(Unary function, const Tensor& x, double a, double b, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto* kernel) {
      launch("unary", kernel, blocks_for(out.numel()), block_threads, 0, out.numel(), input<T>(x),
             convert<T>(a), convert<T>(b), output<T>(out));
    };
    switch (function) {
#define EBB_CASE(name, ...) \
  case Unary::name:         \
    return run(unary_kernel<Unary::name, T>);
      EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
  });
}

void unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y, double a,
                    double b, Tensor& out) {
  dispatch_floating("unary_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto* kernel) {
      launch("unary_backward", kernel, blocks_for(out.numel()), block_threads, 0, out.numel(),
             input<T>(grad), input<T>(x), input<T>(y), T(a), T(b), output<T>(out));
    };
    switch (function) {
#define EBB_CASE(name, ...) \
  case Unary::name:         \
    return run(unary_backward_kernel<Unary::name, T>);
      EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
  });
}

void binary(Binary function, const Operand& a, const Operand& b, Tensor& out) {
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto* kernel) {
      launch("binary", kernel, blocks_for(out.numel()), block_threads, 0, out.numel(),
             walk_over(out.shape()), source_of<T>(a, out), source_of<T>(b, out), output<T>(out));
    };
    switch (function) {
#define EBB_CASE(name, ...) \
  case Binary::name:        \
    return run(binary_kernel<Binary::name, T>);
      EBB_BINARY_LIST(EBB_CASE)
      EBB_COMPARISON_LIST(EBB_CASE)
#undef EBB_CASE
    }
  });
}

void where(const Tensor& condition, const Operand& a, const Operand& b, Tensor& out) {
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("where", where_kernel<T>, blocks_for(out.numel()), block_threads, 0, out.numel(),
           walk_over(out.shape()), source_of<T>(condition, out), source_of<T>(a, out),
           source_of<T>(b, out), output<T>(out));
  });
}

void axpby(double a, const Tensor& x, double b, const Tensor& y, Tensor& out) {
  dispatch_floating("axpby", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("axpby", axpby_kernel<T>, blocks_for(out.numel()), block_threads, 0, out.numel(), T(a),
           input<T>(x), T(b), input<T>(y), output<T>(out));
  });
}

}  // namespace

void add_pointwise_kernels(Kernels& table) {
  table.unary = unary;
  table.unary_backward = unary_backward;
  table.binary = binary;
  table.where = where;
  table.axpby = axpby;
}

}  // namespace ebb::cuda
