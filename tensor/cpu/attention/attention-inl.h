// What attention does to rows of scores. Included once for every instruction set.
#if defined(EBB_TENSOR_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EBB_TENSOR_CPU_ATTENTION_INL_H_
#undef EBB_TENSOR_CPU_ATTENTION_INL_H_
#else
#define EBB_TENSOR_CPU_ATTENTION_INL_H_
#endif

#include <ebb/tensor/cpu/common/register_tile-inl.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

constexpr std::int64_t block_keys = 256;
// From row to row of scores. Not a power of two, whose multiples share a few lines of the cache.
constexpr std::int64_t score_pitch = block_keys + 16;

// exp(x) for x that is not above 0. For float: with x / ln 2 = n + r, n the integer nearest to it,
// which adding 1.5 2^23 leaves in the last bits, 2^n 2^r and a minimax fit of 2^r that is right to
// 1e-7. At -127 all bits are 0. The largest score was taken off before: so scores of any size keep
// the digits of their differences.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exponential(D d, V x) {
  if constexpr (std::is_same_v<hn::TFromD<D>, float>) {
    const hn::RebindToUnsigned<D> bits;
    const V to_integer = hn::Set(d, 12582912.0f);
    const V given = x;
    x = hn::Max(hn::Set(d, -127.0f), hn::Mul(x, hn::Set(d, 1.44269504088896340736f)));
    const V shifted = hn::Add(x, to_integer);
    const V r = hn::Sub(x, hn::Sub(shifted, to_integer));
    V y = hn::Set(d, 1.326472725e-3f);
    y = hn::MulAdd(y, r, hn::Set(d, 9.671512786e-3f));
    y = hn::MulAdd(y, r, hn::Set(d, 5.550733744e-2f));
    y = hn::MulAdd(y, r, hn::Set(d, 0.2402224208f));
    y = hn::MulAdd(y, r, hn::Set(d, 0.6931469776f));
    y = hn::MulAdd(y, r, hn::Set(d, 1.0f));
    y = hn::BitCast(d,
                    hn::Add(hn::BitCast(bits, y), hn::ShiftLeft<23>(hn::BitCast(bits, shifted))));
    return hn::IfThenElse(hn::IsNaN(given), given, y);
  } else {
    return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, x), x);
  }
}

// For `rows` rows of scores (at most a tile's): their largest so far, and the factors by which what
// was summed before shrinks. Scores from `count` up to whole vectors become the lowest.
template <class T>
void find_largest(T* scores, std::int64_t rows, std::int64_t count, T* largest, T* factors) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = (count - 1) / lanes<T>() * lanes<T>();  // of all vectors but the last
  const auto inside = hn::FirstN(d, static_cast<std::size_t>(count - end));
  for (std::int64_t i = 0; i < rows; ++i, scores += score_pitch) {
    auto most = hn::IfThenElse(inside, hn::Load(d, scores + end),
                               hn::Set(d, std::numeric_limits<T>::lowest()));
    hn::Store(most, d, scores + end);
    for (std::int64_t j = 0; j < end; j += lanes<T>())
      most = hn::Max(most, hn::Load(d, scores + j));
    const T now = std::max(largest[i], hn::GetLane(hn::MaxOfLanes(d, most)));
    factors[i] = largest[i] - now;
    largest[i] = now;
  }
  for (std::int64_t i = 0; i < rows; i += lanes<T>())
    hn::Store(exponential(d, hn::Load(d, factors + i)), d, factors + i);
}

// The scores of a row become exponentials, less `largest`; adds them to `totals`.
template <class T>
void exponentials(T* scores, std::int64_t count, T largest, T factor, T* totals) {
  const hn::ScalableTag<T> d;
  const auto most = hn::Set(d, largest);
  // Small ones would be lost if they were added to the total one by one.
  auto sum = hn::Zero(d);
  for (std::int64_t run = 0; run < count; run += 16 * lanes<T>()) {
    auto some = hn::Zero(d);
    for (std::int64_t j = run; j < std::min(count, run + 16 * lanes<T>()); j += lanes<T>()) {
      const auto p = exponential(d, hn::Sub(hn::Load(d, scores + j), most));
      hn::Store(p, d, scores + j);
      some = hn::Add(some, p);
    }
    sum = hn::Add(sum, some);
  }
  hn::Store(hn::MulAdd(hn::Load(d, totals), hn::Set(d, factor), sum), d, totals);
}

// Scores of a row become probabilities; their sum weighted by dp.
template <class T>
T probabilities(T* scores, const T* dp, std::int64_t count, T largest, T total) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = (count - 1) / lanes<T>() * lanes<T>();  // of all vectors but the last
  const auto inside = hn::FirstN(d, static_cast<std::size_t>(count - end));
  const auto most = hn::Set(d, largest), share = hn::Set(d, 1 / total);
  auto sum = hn::Zero(d);
  for (std::int64_t j = 0; j <= end; j += lanes<T>()) {
    const auto p = hn::Mul(exponential(d, hn::Sub(hn::Load(d, scores + j), most)), share);
    hn::Store(p, d, scores + j);
    const auto product = hn::Mul(p, hn::Load(d, dp + j));
    sum = hn::Add(sum, j == end ? hn::IfThenElseZero(inside, product) : product);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// ds, which holds dp, becomes p (dp - mean).
template <class T>
void differentials(const T* p, T* ds, std::int64_t count, T mean) {
  const hn::ScalableTag<T> d;
  const auto middle = hn::Set(d, mean);
  for (std::int64_t j = 0; j < count; j += lanes<T>())
    hn::Store(hn::Mul(hn::Load(d, p + j), hn::Sub(hn::Load(d, ds + j), middle)), d, ds + j);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#endif
