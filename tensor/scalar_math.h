// The functions behind EBB_UNARY_LIST that <cmath> does not have.
#pragma once

#include <cmath>

namespace ebb::detail {

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

template <class T>
T silu_derivative(T x) {
  const T s = sigmoid(x);
  return s * (T(1) + x * (T(1) - s));
}

// log(1 + e^x), which is x in every digit from 20 on.
template <class T>
T softplus(T x) {
  return x > T(20) ? x : std::log1p(std::exp(x));
}

template <class T>
T erf_derivative(T x) {
  constexpr T two_over_sqrt_pi = T(1.12837916709551257390);
  return two_over_sqrt_pi * std::exp(-x * x);
}

// The normal distribution's cumulative function and density.
template <class T>
T normal_cdf(T x) {
  constexpr T sqrt_half = T(0.70710678118654752440);
  return T(0.5) * std::erfc(-x * sqrt_half);
}

template <class T>
T normal_pdf(T x) {
  constexpr T one_over_sqrt_two_pi = T(0.39894228040143267794);
  return one_over_sqrt_two_pi * std::exp(T(-0.5) * x * x);
}

// x Phi(x).
template <class T>
T gelu(T x) {
  return x * normal_cdf(x);
}

template <class T>
T gelu_derivative(T x) {
  return normal_cdf(x) + x * normal_pdf(x);
}

// 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
T gelu_tanh(T x) {
  constexpr T two_sqrt_two_over_pi = T(1.59576912160573071176);
  return x * sigmoid(two_sqrt_two_over_pi * (x + T(0.044715) * x * x * x));
}

template <class T>
T gelu_tanh_derivative(T x) {
  constexpr T two_sqrt_two_over_pi = T(1.59576912160573071176);
  const T s = sigmoid(two_sqrt_two_over_pi * (x + T(0.044715) * x * x * x));
  const T du = two_sqrt_two_over_pi * (T(1) + T(3 * 0.044715) * x * x);
  return s + x * s * (T(1) - s) * du;
}

// a x^(a-1), which is 0 for a = 0 even at x = 0.
template <class T>
T pow_derivative(T x, T a) {
  return a == T(0) ? T(0) : a * std::pow(x, a - T(1));
}

}  // namespace ebb::detail
