// The functions of EBB_UNARY_LIST and their gradients: plain loops, compiled for every
// instruction set.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/pointwise/unary.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/scalar_math.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

#define EBB_FUNCTION(name, value_of, gradient_of)                                            \
  struct name##_function {                                                                   \
    template <class T>                                                                       \
    static T value(T x, [[maybe_unused]] T a, [[maybe_unused]] T b) {                        \
      return value_of;                                                                       \
    }                                                                                        \
    template <class T>                                                                       \
    static T gradient(T g, [[maybe_unused]] T x, [[maybe_unused]] T y, [[maybe_unused]] T a, \
                      [[maybe_unused]] T b) {                                                \
      return gradient_of;                                                                    \
    }                                                                                        \
  };
EBB_UNARY_LIST(EBB_FUNCTION)
#undef EBB_FUNCTION

template <class Function, class T>
void values(const void* x, double a, double b, void* y, std::int64_t begin, std::int64_t end) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  const T p = convert<T>(a), q = convert<T>(b);
  for (std::int64_t i = begin; i < end; ++i) to[i] = Function::value(from[i], p, q);
}

template <class Function, class T>
void gradients(const void* grad, const void* x, const void* y, double a, double b, void* out,
               std::int64_t begin, std::int64_t end) {
  const T *gs = static_cast<const T*>(grad), *xs = static_cast<const T*>(x),
          *ys = static_cast<const T*>(y);
  T* to = static_cast<T*>(out);
  const T p = convert<T>(a), q = convert<T>(b);
  for (std::int64_t i = begin; i < end; ++i) to[i] = Function::gradient(gs[i], xs[i], ys[i], p, q);
}

using Values = decltype(&values<neg_function, float>);
using Gradients = decltype(&gradients<neg_function, float>);

Values find_values(Unary function, DType dtype) {
  return dispatch_all(dtype, [&](auto zero) -> Values {
    using T = decltype(zero);
    switch (function) {
#define EBB_CASE(name, value, gradient)                                       \
  case Unary::name:                                                           \
    if constexpr (std::is_floating_point_v<T> || takes_integers(Unary::name)) \
      return values<name##_function, T>;                                      \
    break;
      EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
    return nullptr;
  });
}

Gradients find_gradients(Unary function, DType dtype) {
  return dispatch_floating("unary_backward", dtype, [&](auto zero) -> Gradients {
    switch (function) {
#define EBB_CASE(name, value, gradient) \
  case Unary::name:                     \
    return gradients<name##_function, decltype(zero)>;
      EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
    return nullptr;
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(find_values);
HWY_EXPORT(find_gradients);

constexpr std::int64_t grain = 1 << 14;

void unary(Unary function, const Tensor& x, double a, double b, Tensor& out) {
  const auto run = EBB_DISPATCH(find_values)(function, x.dtype());
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    run(x.raw(), a, b, out.raw(), begin, end);
  });
}

void unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y, double a,
                    double b, Tensor& out) {
  const auto run = EBB_DISPATCH(find_gradients)(function, x.dtype());
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    run(grad.raw(), x.raw(), y.raw(), a, b, out.raw(), begin, end);
  });
}

}  // namespace

void add_unary_kernels(Kernels& table) {
  table.unary = unary;
  table.unary_backward = unary_backward;
}

}  // namespace ebb::cpu
#endif  // HWY_ONCE
