// Pointwise functions. Binary ones broadcast (NumPy's rule) and need equal dtypes and devices.
//
// The functions of one tensor and of two are lists, with value and gradient side by side: a line
// here gives the functions on Tensors and Variables, the kernels of every device, the gradient and
// the tests of all of them.
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
  _(log1p,       std::log1p(x),                           g / (T(1) + x))                      \
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

// _(name, value, gradient by a, gradient by b): a and b are the inputs, y the value, g the gradient
// by y. The value is arithmetic in T, in which integers wrap around; the gradients are of Tensors,
// and what they name is kept for them. larger_share is in autograd/ops/pointwise.cpp.
#define EBB_BINARY_LIST(_)                                                                     \
  _(add,      detail::Wrapping<T>(a) + detail::Wrapping<T>(b),  g,      g)                     \
  _(sub,      detail::Wrapping<T>(a) - detail::Wrapping<T>(b),  g,      neg(g))                \
  _(mul,      detail::Wrapping<T>(a) * detail::Wrapping<T>(b),  g * b,  g * a)                 \
  _(div,      a / b,                                            g / b,  neg(g * (y / b)))      \
  _(maximum,  ((a > b) | (a != a)) ? a : b,  larger_share(g, a, b),  larger_share(g, b, a))    \
  _(minimum,  ((a < b) | (a != a)) ? a : b,  larger_share(g, b, a),  larger_share(g, a, b))
// Comparisons have no gradient: 1 where they hold, else 0, in the inputs' dtype.
#define EBB_COMPARISON_LIST(_)                                                                 \
  _(less, a < b)           _(less_equal, a <= b)        _(equal, a == b)                       \
  _(greater, a > b)        _(greater_equal, a >= b)     _(not_equal, a != b)
// clang-format on

#define EBB_ENUM(name, ...) name,
enum class Unary : std::uint8_t { EBB_UNARY_LIST(EBB_ENUM) };
enum class Binary : std::uint8_t { EBB_BINARY_LIST(EBB_ENUM) EBB_COMPARISON_LIST(EBB_ENUM) };
#undef EBB_ENUM
std::string_view name_of(Unary function);
std::string_view name_of(Binary function);

// Whether int64 has the function too.
constexpr bool takes_integers(Unary function) {
  return function == Unary::neg || function == Unary::abs || function == Unary::square ||
         function == Unary::relu || function == Unary::clamp;
}
constexpr bool takes_integers(Binary function) { return function != Binary::div; }

// y = function(x; a, b), any shape.
Tensor unary(Unary function, const Tensor& x, double a = 0, double b = 0);
// The gradient by x, from that by y (`grad`), the input x and the value y.
Tensor unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y,
                      double a = 0, double b = 0);

#define EBB_DECLARE(name, ...) Tensor name(const Tensor& x);
EBB_PLAIN_LIST(EBB_DECLARE)
#undef EBB_DECLARE
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor pow(const Tensor& x, double exponent);
Tensor clamp(const Tensor& x, double low, double high);

// Of two tensors that broadcast together, or of one and a number of its dtype.
Tensor binary(Binary function, const Tensor& a, const Tensor& b);
Tensor binary(Binary function, const Tensor& a, double b);
#define EBB_DECLARE(name, ...)                   \
  Tensor name(const Tensor& a, const Tensor& b); \
  Tensor name(const Tensor& a, double b);
EBB_BINARY_LIST(EBB_DECLARE)
EBB_COMPARISON_LIST(EBB_DECLARE)
#undef EBB_DECLARE

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

inline Tensor operator<(const Tensor& a, const Tensor& b) { return less(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return less_equal(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return greater(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return greater_equal(a, b); }
inline Tensor operator<(const Tensor& a, double b) { return less(a, b); }
inline Tensor operator<=(const Tensor& a, double b) { return less_equal(a, b); }
inline Tensor operator>(const Tensor& a, double b) { return greater(a, b); }
inline Tensor operator>=(const Tensor& a, double b) { return greater_equal(a, b); }

// condition != 0 ? a : b; the three broadcast together. `condition` may have any dtype.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);

// a x + b y in one pass; equal shapes. The step of most samplers.
Tensor axpby(double a, const Tensor& x, double b, const Tensor& y);

// In place, counted as a change: a += scale * b (equal shapes), a *= scale.
void add_(Tensor& a, const Tensor& b, double scale = 1);
void mul_(Tensor& a, double scale);
// a = function(a, b), in place; b broadcasts to a's shape.
void binary_(Binary function, Tensor& a, const Tensor& b);
void binary_(Binary function, Tensor& a, double b);
Tensor& operator+=(Tensor& a, const Tensor& b);
Tensor& operator-=(Tensor& a, const Tensor& b);
Tensor& operator*=(Tensor& a, const Tensor& b);
Tensor& operator/=(Tensor& a, const Tensor& b);
Tensor& operator+=(Tensor& a, double b);
Tensor& operator-=(Tensor& a, double b);
Tensor& operator*=(Tensor& a, double b);
Tensor& operator/=(Tensor& a, double b);

// True if an element, or if every one, is not 0 (a NaN is not); of none, false and true.
bool any(const Tensor& x);
bool all(const Tensor& x);

// True if every element is finite.
bool all_finite(const Tensor& x);
// max|a - b| / max|b|: the distance that every tolerance of this project is stated in. Zero if
// both are zero everywhere or empty. NaN if either has one. Infinities count as equal where both
// have the same one; elsewhere the distance is infinite. They have no part in max|b|.
double relative_error(const Tensor& a, const Tensor& b);

}  // namespace ebb
