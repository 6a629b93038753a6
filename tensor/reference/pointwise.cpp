#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/reference/reference.h>
#include <ebb/tensor/scalar_math.h>

namespace ebb::reference {

namespace {

void unary(Unary function, const Tensor& x, double first, double second, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    [[maybe_unused]] const T a = convert<T>(first), b = convert<T>(second);
    switch (function) {
#define EBB_CASE(name, value, gradient)                                       \
  case Unary::name:                                                           \
    if constexpr (std::is_floating_point_v<T> || takes_integers(Unary::name)) \
      for (std::int64_t i = 0; i < out.numel(); ++i) {                        \
        const T x_i = input<T>(x)[i];                                         \
        output<T>(out)[i] = [&](T x) { return T(value); }(x_i);               \
      }                                                                       \
    break;
      EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
  });
}

void unary_backward(Unary function, const Tensor& grad, const Tensor& xs, const Tensor& ys,
                    double first, double second, Tensor& out) {
  dispatch_floating("unary_backward", xs.dtype(), [&](auto zero) {
    using T = decltype(zero);
    [[maybe_unused]] const T a = T(first), b = T(second);
    for (std::int64_t i = 0; i < out.numel(); ++i) {
      const T g = input<T>(grad)[i];
      [[maybe_unused]] const T x = input<T>(xs)[i], y = input<T>(ys)[i];
      switch (function) {
#define EBB_CASE(name, value, gradient) \
  case Unary::name:                     \
    output<T>(out)[i] = gradient;       \
    break;
        EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
      }
    }
  });
}

void binary(Binary function, const Operand& as, const Operand& bs, Tensor& out) {
  const Shape& shape = out.shape();
  const OperandElements from_a(as, out), from_b(bs, out);
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i) {
      const T a = from_a.at<T>(i, shape), b = from_b.at<T>(i, shape);
      switch (function) {
#define EBB_CASE(name, value, ...)                                             \
  case Binary::name:                                                           \
    if constexpr (std::is_floating_point_v<T> || takes_integers(Binary::name)) \
      output<T>(out)[i] = static_cast<T>(value);                               \
    break;
        EBB_BINARY_LIST(EBB_CASE)
        EBB_COMPARISON_LIST(EBB_CASE)
#undef EBB_CASE
      }
    }
  });
}

void where(const Tensor& condition, const Operand& a, const Operand& b, Tensor& out) {
  const Shape& shape = out.shape();
  const OperandElements from_c(condition, out), from_a(a, out), from_b(b, out);
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i)
      output<T>(out)[i] =
          from_c.at<T>(i, shape) != T(0) ? from_a.at<T>(i, shape) : from_b.at<T>(i, shape);
  });
}

void axpby(double a, const Tensor& x, double b, const Tensor& y, Tensor& out) {
  dispatch_floating("axpby", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i)
      output<T>(out)[i] = T(a) * input<T>(x)[i] + T(b) * input<T>(y)[i];
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

}  // namespace ebb::reference
