// Pointwise functions. Binary ones broadcast (NumPy's rule) and need equal dtypes and devices.
//
// The functions of one tensor are one list, with value and gradient side by side: a line here
// gives the functions on Tensors and Variables, the kernels, the gradient and its check.
//
// NaN, infinities and zeros' signs are PyTorch's (but for silu's and gelu's zeros far below 0).
// Denormals are zeros to arithmetic and no result of it; what only moves values (neg, abs, relu,
// where, sort, layout) keeps them.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

// _(name, value, gradient): x is the input, y the value, a and b the parameters, g the gradient
// by y. Where g is masked out the gradient is 0 whatever g is: a factor 0 would make an infinite g
// a NaN.
// All arithmetic is in the tensor's own type T; detail:: is tensor/scalar_math.h.
//   silu = x sigmoid(x); gelu = x Phi(x) (Hendrycks & Gimpel 2016), gelu_tanh the same paper's
//   approximation; softplus = log(1 + e^x), x itself above 20, as PyTorch.
// clang-format off
#define EBB_PLAIN_LIST(_)                                                                      \
  _(neg,         detail::neg(x),                          -g)                                  \
  _(exp,         detail::exp(x),                          g * y)                               \
  _(log,         detail::log(x),                          g / x)                               \
  _(sqrt,        std::sqrt(x),                            g * (T(0.5) / y))                    \
  _(rsqrt,       T(1) / std::sqrt(x),                     g * (T(-0.5) * y * y * y))           \
  _(reciprocal,  T(1) / x,                                g * (-y * y))                        \
  _(square,      detail::square(x),                       g * (T(2) * x))                      \
  _(abs,         detail::abs(x),                          g * T((x > 0) - (x < 0)))            \
  _(sin,         std::sin(x),                             g * std::cos(x))                     \
  _(cos,         std::cos(x),                             g * -std::sin(x))                    \
  _(tanh,        detail::tanh(x),                         g * (T(1) - y * y))                  \
  _(sigmoid,     detail::sigmoid(x),                      g * (y * (T(1) - y)))                \
  _(relu,        (x < 0 ? T(0) : x),                     (x <= 0 ? T(0) : g))                 \
  _(silu,        x * detail::sigmoid(x),                  g * detail::silu_derivative(x))      \
  _(gelu,        detail::gelu(x),                         g * detail::gelu_derivative(x))      \
  _(gelu_tanh,   detail::gelu_tanh(x),                    g * detail::gelu_tanh_derivative(x)) \
  _(softplus,    detail::softplus(x),                     g * detail::softplus_derivative(x))  \
  _(erf,         detail::erf(x),                          g * detail::erf_derivative(x))
// With parameters, and so functions of their own.
#define EBB_UNARY_LIST(_)                                                                      \
  EBB_PLAIN_LIST(_)                                                                            \
  _(leaky_relu,  (x > 0 ? x : a * x),                     g * (x > 0 ? T(1) : a))              \
  _(pow,         detail::pow(x, a),                       detail::pow_gradient(g, x, a))       \
  _(clamp,       (x < a ? a : x > b ? b : x),             (((x >= a) & (x <= b)) ? g : T(0)))
// clang-format on

enum class Unary : std::uint8_t {
#define EBB_ENUM(name, value, gradient) name,
  EBB_UNARY_LIST(EBB_ENUM)
#undef EBB_ENUM
};
std::string_view name_of(Unary function);

// y = function(x; a, b), any shape, float32 or float64 (neg, abs, square, relu, clamp also int64).
Tensor unary(Unary function, const Tensor& x, double a = 0, double b = 0);
// The gradient by x, from that by y (`grad`), the input x and the value y.
Tensor unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y,
                      double a = 0, double b = 0);

#define EBB_DECLARE(name, value, gradient) Tensor name(const Tensor& x);
EBB_PLAIN_LIST(EBB_DECLARE)
#undef EBB_DECLARE
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor pow(const Tensor& x, double exponent);
Tensor clamp(const Tensor& x, double low, double high);

enum class Binary : std::uint8_t { add, sub, mul, div, maximum, minimum, less, equal };
std::string_view name_of(Binary function);
Tensor binary(Binary function, const Tensor& a, const Tensor& b);

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);   // 1 where a < b, else 0, in the inputs' dtype
Tensor equal(const Tensor& a, const Tensor& b);  // 1 where a == b, else 0

// With a scalar of the tensor's own dtype.
Tensor add(const Tensor& a, double b);
Tensor mul(const Tensor& a, double b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& a) { return neg(a); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, double b) { return add(a, -b); }
inline Tensor operator-(double a, const Tensor& b) { return add(neg(b), a); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Tensor& a, double b) { return mul(a, 1.0 / b); }
inline Tensor operator/(double a, const Tensor& b) { return mul(reciprocal(b), a); }

// condition != 0 ? a : b; the three broadcast together. `condition` may have any dtype.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// a x + b y in one pass; equal shapes. The step of most samplers.
Tensor axpby(double a, const Tensor& x, double b, const Tensor& y);

// In place, counted as a change: a += scale * b (equal shapes), a *= scale.
void add_(Tensor& a, const Tensor& b, double scale = 1);
void mul_(Tensor& a, double scale);

// True if every element is finite.
bool all_finite(const Tensor& x);
// max|a - b| / max|b|: the distance that every tolerance of this project is stated in. Zero if
// both are zero everywhere or empty. NaN if either has one. Infinities count as equal where both
// have the same one; elsewhere the distance is infinite. They have no part in max|b|.
double relative_error(const Tensor& a, const Tensor& b);

}  // namespace ebb
