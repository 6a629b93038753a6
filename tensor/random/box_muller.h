// Uniform numbers to normal ones (Box & Muller 1958).
#pragma once

#include <ebb/tensor/cuda/host_device.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace ebb {

// In place, in blocks of 16 (`count` is a multiple): for j < 8, u1 = 1 - d[j], u2 = d[j + 8],
//   d[j] = sqrt(-2 ln u1) cos(2 pi u2),  d[j + 8] = sqrt(-2 ln u1) sin(2 pi u2).
// The values must lie in [0, 1). The order is that of PyTorch's CPU stream; float32 results are
// within 2 units in the last place of their radius, the same bits on every processor.
void box_muller(float* data, std::int64_t count);
void box_muller(double* data, std::int64_t count);

// ln x for normal x > 0. x = m 2^e with m in [sqrt(1/2), sqrt(2)), then a minimax polynomial in
// f = m - 1 (Moshier's Cephes). Branch-free, so that loops over it become vector code.
EBB_HOST_DEVICE inline float log_positive(float x) {
  const std::uint32_t shifted = std::bit_cast<std::uint32_t>(x) - 0x3F3504F3u;  // sqrt(1/2)
  const float e = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const float f = std::bit_cast<float>((shifted & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float f2 = f * f;
  // ln 2 in two parts, the first with so few bits that e times it is exact.
  const float tail = (p * f) * f2 + e * -2.12194440e-4f - 0.5f * f2;
  return f + tail + e * 0.693359375f;
}

struct SinCos {
  float sin, cos;
};

// For a in [0, 2 pi]: a = q pi/2 + r with |r| <= pi/4, polynomials in r (Cephes), then the
// quadrant's swap and signs. pi/2 comes in three parts, so that q times the first two is exact.
EBB_HOST_DEVICE inline SinCos sin_cos(float a) {
  const std::int32_t q = static_cast<std::int32_t>(a * 0.636619772f + 0.5f);
  const float n = static_cast<float>(q);
  const float r =
      ((a - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188216e-8f;
  const float r2 = r * r;
  float s = -1.9515295891e-4f;
  s = s * r2 + 8.3321608736e-3f;
  s = s * r2 - 1.6666654611e-1f;
  s = s * r2 * r + r;
  float c = 2.443315711809948e-5f;
  c = c * r2 - 1.388731625493765e-3f;
  c = c * r2 + 4.166664568298827e-2f;
  c = c * r2 * r2 - 0.5f * r2 + 1.0f;
  // q:      0   1   2   3   (mod 4)
  // sin a:  s   c  -s  -c
  // cos a:  c  -s  -c   s
  const std::uint32_t swap = 0u - static_cast<std::uint32_t>(q & 1);
  const std::uint32_t s_bits = std::bit_cast<std::uint32_t>(s);
  const std::uint32_t c_bits = std::bit_cast<std::uint32_t>(c);
  const std::uint32_t sine = (s_bits & ~swap) | (c_bits & swap);
  const std::uint32_t cosine = (c_bits & ~swap) | (s_bits & swap);
  const std::uint32_t sine_sign = static_cast<std::uint32_t>(q & 2) << 30;
  const std::uint32_t cosine_sign = static_cast<std::uint32_t>((q + 1) & 2) << 30;
  return {std::bit_cast<float>(sine ^ sine_sign), std::bit_cast<float>(cosine ^ cosine_sign)};
}

// d[j] and d[j + 8] of the above; whoever calls it is compiled without fused multiply-adds.
template <class T>
struct NormalPair {
  T first, second;
};
EBB_HOST_DEVICE inline NormalPair<float> normal_pair(float d, float d8) {
  const float radius = std::sqrt(-2.0f * log_positive(1.0f - d));
  const SinCos turn = sin_cos(2.0f * std::numbers::pi_v<float> * d8);
  return {radius * turn.cos, radius * turn.sin};
}
EBB_HOST_DEVICE inline NormalPair<double> normal_pair(double d, double d8) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - d));
  const double angle = 2.0 * std::numbers::pi * d8;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace ebb
