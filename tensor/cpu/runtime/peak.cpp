#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/runtime/peak.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/peak.h>
#include <ebb/tensor/tensor.h>
#include <hwy/cache_control.h>

#include <chrono>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Enough independent sums to hide the latency of one, few enough for 16 registers.
constexpr int fma_chains = 12;

float multiply_add(std::int64_t rounds) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V factor = hn::Set(d, 0.999f), term = hn::Set(d, 0.001f);
  V sums[fma_chains];
  EBB_UNROLL for (int i = 0; i < fma_chains; ++i) sums[i] = hn::Set(d, static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
    EBB_UNROLL for (int i = 0; i < fma_chains; ++i) sums[i] = hn::MulAdd(sums[i], factor, term);
  }
  for (int i = 1; i < fma_chains; ++i) sums[0] = hn::Add(sums[0], sums[i]);
  return hn::GetLane(sums[0]);
}

void triad(const float* b, const float* c, float* a, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto scale = hn::Set(d, 3.0f);
  for (std::int64_t i = 0; i < count; i += static_cast<std::int64_t>(hn::Lanes(d)))
    hn::Stream(hn::MulAdd(scale, hn::Load(d, c + i), hn::Load(d, b + i)), d, a + i);
  hwy::FlushStream();
}

// Calls a second of `work`: of the best of three.
template <class Work>
double rate(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const Clock::time_point start = Clock::now();
    work();
    best = std::max(best, 1 / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

Peak peak_target() {
  constexpr std::int64_t rounds = 1 << 18, elements = 1 << 24;
  const int threads = thread_count();
  const double flops = rate([&] {
    parallel_for(threads, 1, [](std::int64_t, std::int64_t) {
      [[maybe_unused]] volatile float kept = multiply_add(rounds);
    });
  });
  static Tensor arrays = Tensor::ones({3 * elements});
  float* a = arrays.mutable_data<float>();
  const double triads = rate([&] {
    parallel_for(elements, 1 << 18, [&](std::int64_t begin, std::int64_t end) {
      triad(a + elements + begin, a + 2 * elements + begin, a + begin, end - begin);
    });
  });
  const auto lanes = static_cast<double>(hn::Lanes(hn::ScalableTag<float>()));
  return {flops * threads * rounds * fma_chains * lanes * 2, triads * 3 * elements * sizeof(float)};
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

HWY_EXPORT(peak_target);

Peak measure_peak() { return EBB_DISPATCH(peak_target)(); }

}  // namespace ebb::cpu
#endif
