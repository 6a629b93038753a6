// The functions of EBB_UNARY_LIST and their derivatives.
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/walk.h>
#include <ebb/tensor/scalar_math.h>

namespace ebb::cpu {

namespace {

constexpr std::int64_t grain = 1 << 13;

#define EBB_FUNCTION(name, value_of, derivative_of)                                       \
  struct name##_function {                                                                \
    template <class T>                                                                    \
    static T value(T x, [[maybe_unused]] T a, [[maybe_unused]] T b) {                     \
      return value_of;                                                                    \
    }                                                                                     \
    template <class T>                                                                    \
    static T derivative([[maybe_unused]] T x, [[maybe_unused]] T y, [[maybe_unused]] T a, \
                        [[maybe_unused]] T b) {                                           \
      return derivative_of;                                                               \
    }                                                                                     \
  };
EBB_UNARY_LIST(EBB_FUNCTION)
#undef EBB_FUNCTION

template <class Function, class T>
void apply(const Tensor& x, T a, T b, Tensor& out) {
  const T* from = input<T>(x);
  T* to = output<T>(out);
  parallel_for(out.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = Function::value(from[i], a, b);
  });
}

template <class Function>
void apply(const Tensor& x, double a, double b, Tensor& out) {
  if (x.dtype() == DType::float32)
    return apply<Function, float>(x, static_cast<float>(a), static_cast<float>(b), out);
  apply<Function, double>(x, a, b, out);
}

template <class Function>
void apply_integers(const Tensor& x, double a, double b, Tensor& out) {
  const auto nearest = [](double value) {
    return *Tensor::scalar(value, DType::int64).data<std::int64_t>();
  };
  apply<Function>(x, nearest(a), nearest(b), out);
}

void unary(Unary function, const Tensor& x, double a, double b, Tensor& out) {
  if (x.dtype() == DType::int64) {
    switch (function) {
      case Unary::neg:
        return apply_integers<neg_function>(x, a, b, out);
      case Unary::abs:
        return apply_integers<abs_function>(x, a, b, out);
      case Unary::square:
        return apply_integers<square_function>(x, a, b, out);
      case Unary::relu:
        return apply_integers<relu_function>(x, a, b, out);
      default:
        return apply_integers<clamp_function>(x, a, b, out);
    }
  }
  switch (function) {
#define EBB_CASE(name, value, derivative) \
  case Unary::name:                       \
    return apply<name##_function>(x, a, b, out);
    EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
  }
}

template <class Function>
void apply_backward(const Tensor& grad, const Tensor& x, const Tensor& y, double a, double b,
                    Tensor& out) {
  dispatch_floating("unary_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *gs = input<T>(grad), *xs = input<T>(x), *ys = input<T>(y);
    T* to = output<T>(out);
    const T p = static_cast<T>(a), q = static_cast<T>(b);
    parallel_for(out.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        to[i] = gs[i] * Function::derivative(xs[i], ys[i], p, q);
    });
  });
}

void unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y, double a,
                    double b, Tensor& out) {
  switch (function) {
#define EBB_CASE(name, value, derivative) \
  case Unary::name:                       \
    return apply_backward<name##_function>(grad, x, y, a, b, out);
    EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
  }
}

}  // namespace

void add_unary_kernels(Kernels& table) {
  table.unary = unary;
  table.unary_backward = unary_backward;
}

}  // namespace ebb::cpu
