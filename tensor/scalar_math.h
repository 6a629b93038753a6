// The functions behind EBB_UNARY_LIST that <cmath> lacks or is slow at.
//
// In float64 they call <cmath>: it serves for truth. In float32 they are straight-line code that
// compilers turn into vector code, right to about one unit in the last place; coefficients are
// minimax fits. Results below the smallest normal number are zero.
#pragma once

#include <ebb/tensor/cuda/host_device.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace ebb::detail {

// Integers wrap around, which unsigned arithmetic defines.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;

template <class T>
EBB_HOST_DEVICE T neg(T x) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(0 - Wrapping<T>(x));
  else
    return -x;
}
template <class T>
EBB_HOST_DEVICE T square(T x) {
  return static_cast<T>(Wrapping<T>(x) * Wrapping<T>(x));
}
template <class T>
EBB_HOST_DEVICE T abs(T x) {
  if constexpr (std::is_integral_v<T>)
    return x < 0 ? neg(x) : x;
  else
    return std::abs(x);
}

EBB_HOST_DEVICE inline double exp(double x) { return std::exp(x); }

// e^x = 2^n e^r, n the integer nearest to x / ln 2: adding 1.5 2^23 leaves n in the last bits.
EBB_HOST_DEVICE inline float exp(float x) {
  constexpr float to_integer = 12582912.0f, one_over_ln2 = 1.44269504088896340736f;
  constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
  constexpr float smallest = -87.3365447f, largest = 88.7228391f;
  const float shifted = x * one_over_ln2 + to_integer;
  const float n = shifted - to_integer;
  const float r = (x - n * ln2_high) - n * ln2_low;
  const float q = 0.499999934112f +
                  r * (0.16666520095f +
                       r * (0.0416683944756f + r * (0.00836878159999f + r * 0.00138144543864f)));
  const float e_r = 1.0f + (r + r * r * q);
  const std::uint32_t exponent =
      std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(to_integer);
  const float y = std::bit_cast<float>(std::bit_cast<std::uint32_t>(e_r) + (exponent << 23));
  // One after the other: nested, they become twice the instructions.
  const float below = x > largest ? std::numeric_limits<float>::infinity() : y;
  const float above = x < smallest ? 0.0f : below;
  return x == x ? above : x;  // of a NaN the bits above would make a number
}

EBB_HOST_DEVICE inline double tanh(double x) { return std::tanh(x); }

// Odd polynomial near zero, 1 - 2 / (e^2|x| + 1) beyond.
EBB_HOST_DEVICE inline float tanh(float x) {
  const float a = std::abs(x), s = x * x;
  const float near =
      x + x * s *
              (-0.333332839154f +
               s * (0.133314910642f +
                    s * (-0.0537434818217f + s * (0.0206505396153f + s * -0.0057169963191f))));
  const float far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return std::copysign(a < 0.625f ? near : far, x);
}

template <class T>
EBB_HOST_DEVICE T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

// s + x s (1 - s), s = sigmoid(x): with e = e^-|x| and r = 1 / (1 + e), 1 - s is e r or r, and
// nothing cancels.
template <class T>
EBB_HOST_DEVICE T silu_derivative(T x) {
  const T e = exp(-std::abs(x)), r = T(1) / (T(1) + e);
  return r * ((x < 0 ? e : T(1)) + x * e * r);
}

// log(1 + f) for f in [-0.3, 1]: with s = f / (2 + f) it is 2 atanh(s) = 2 s + 2 s^3 q(s^2).
EBB_HOST_DEVICE inline float log_one_plus(float f) {
  const float s = f / (2.0f + f), z = s * s;
  const float q =
      0.333332065574f + z * (0.200108499005f + z * (0.139995657872f + z * 0.140122486874f));
  return f - s * (f - 2.0f * z * q);
}

// <cmath>'s scales a denormal up, which kernels' arithmetic makes zero, and returns a wrong number.
EBB_HOST_DEVICE inline double log(double x) {
  return x == 0 ? -std::numeric_limits<double>::infinity() : std::log(x);
}

// x = 2^n m with m in [sqrt(1/2), sqrt(2)): log x = n ln 2 + log m.
EBB_HOST_DEVICE inline float log(float x) {
  constexpr std::uint32_t sqrt_half = 0x3f3504f3, mantissa = 0x007fffff;
  constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::uint32_t above = std::bit_cast<std::uint32_t>(x) - sqrt_half;
  const float m = std::bit_cast<float>((above & mantissa) + sqrt_half);
  const float n = static_cast<float>(static_cast<std::int32_t>(above) >> 23);
  const float y = n * ln2_high + (log_one_plus(m - 1.0f) + n * ln2_low);
  const float at_ends = x == 0.0f ? -infinity : x == infinity ? x : y;
  return x >= 0.0f ? at_ends : std::numeric_limits<float>::quiet_NaN();
}

// log(1 + e^x), which is x in every digit from 20 on.
EBB_HOST_DEVICE inline double softplus(double x) { return x > 20 ? x : std::log1p(std::exp(x)); }

template <class T>
EBB_HOST_DEVICE T softplus_derivative(T x) {
  return x > T(20) ? T(1) : sigmoid(x);
}

// max(x, 0) + log(1 + e^-|x|).
EBB_HOST_DEVICE inline float softplus(float x) {
  return (x < 0 ? 0.0f : x) + log_one_plus(exp(-std::abs(x)));
}

// The normal distribution's cumulative function, exact in the tails too; e is e^(-x^2 / 2).
EBB_HOST_DEVICE inline double normal_cdf(double x, [[maybe_unused]] double e) {
  return 0.5 * std::erfc(x * -0.70710678118654752440);
}

// Phi(-|x|) = e^(-x^2 / 2) u p(u), u = 1 / (1 + |x| / 4).
EBB_HOST_DEVICE inline float normal_tail(float x, float e) {
  const float u = 1.0f / (1.0f + 0.25f * std::abs(x)), u2 = u * u;
  const float low = 0.0997519657752f +
                    u * (0.0994193640768f +
                         u * (0.0960830946762f + u * (0.0695136738291f + u * 0.0934481276197f)));
  const float high = 0.000695580337542f +
                     u * (0.0422271649116f +
                          u * (0.0417353653515f + u * (-0.0587314099055f + u * 0.0158570769108f)));
  return e * (u * (low + u2 * u2 * u * high));
}

EBB_HOST_DEVICE inline float normal_cdf(float x, float e) {
  const float tail = normal_tail(x, e);
  return x < 0 ? tail : 1.0f - tail;
}

EBB_HOST_DEVICE inline double erf(double x) { return std::erf(x); }

// Odd polynomial near zero, 1 - 2 Phi(-sqrt(2) |x|) beyond.
EBB_HOST_DEVICE inline float erf(float x) {
  constexpr float sqrt_two = 1.41421356237309504880f;
  const float s = x * x;
  const float near =
      x * (1.1283791538f +
           s * (-0.376125232679f +
                s * (0.112821407392f +
                     s * (-0.0267789065524f + s * (0.00501195961086f + s * -0.000609034455369f)))));
  const float far = std::copysign(1.0f - 2.0f * normal_tail(sqrt_two * x, exp(-s)), x);
  return s < 0.81f ? near : far;
}

template <class T>
EBB_HOST_DEVICE T erf_derivative(T x) {
  constexpr T two_over_sqrt_pi = T(1.12837916709551257390);
  return two_over_sqrt_pi * exp(-x * x);
}

// x Phi(x).
template <class T>
EBB_HOST_DEVICE T gelu(T x) {
  return x * normal_cdf(x, exp(T(-0.5) * x * x));
}

template <class T>
EBB_HOST_DEVICE T gelu_derivative(T x) {
  constexpr T one_over_sqrt_two_pi = T(0.39894228040143267794);
  const T e = exp(T(-0.5) * x * x);
  return normal_cdf(x, e) + x * one_over_sqrt_two_pi * e;
}

// 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
EBB_HOST_DEVICE T gelu_tanh(T x) {
  // Every rounding of 2 u counts 2 |u| times in the result: this form has the fewest.
  constexpr T linear = T(1.59576912160573071176), cubic = T(0.0713548162726002527);
  return x * sigmoid(x * (linear + cubic * (x * x)));
}

// Beyond 10 it is 0 or 1 in every digit, and no power of x overflows.
template <class T>
EBB_HOST_DEVICE T gelu_tanh_derivative(T x) {
  constexpr T two_sqrt_two_over_pi = T(1.59576912160573071176);
  const T z = x > T(10) ? T(10) : x < T(-10) ? T(-10) : x;
  const T two_u = two_sqrt_two_over_pi * (z + T(0.044715) * z * z * z);
  const T two_du = two_sqrt_two_over_pi * (T(1) + T(3 * 0.044715) * z * z);
  const T e = exp(-std::abs(two_u)), r = T(1) / (T(1) + e);
  return r * ((x < 0 ? e : T(1)) + z * two_du * e * r) + T(0) * x;  // no number at infinity
}

// As PyTorch, which takes roots at -0 and -infinity as sqrt has them.
template <class T>
EBB_HOST_DEVICE T pow(T x, T a) {
  return a == T(0.5) ? std::sqrt(x) : a == T(-0.5) ? T(1) / std::sqrt(x) : std::pow(x, a);
}

// g a x^(a-1), which is 0 for a = 0 whatever x and g are.
template <class T>
EBB_HOST_DEVICE T pow_gradient(T g, T x, T a) {
  return a == T(0) ? T(0) : g * (a * pow(x, a - T(1)));
}

}  // namespace ebb::detail
