// Reductions of a run of neighbouring elements, by lanes that the compiler turns into vectors.
// Included once for every instruction set.
#if defined(EBB_TENSOR_CPU_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EBB_TENSOR_CPU_LANES_INL_H_
#undef EBB_TENSOR_CPU_LANES_INL_H_
#else
#define EBB_TENSOR_CPU_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {

// float32 is added up in float64, so that one rounding at the end is all the error there is;
// integers wrap around.
struct Sum {
  template <class T>
  using Value = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;
  template <class T>
  static Value<T> start() {
    return 0;
  }
  template <class V>
  static V join(V a, V b) {
    return a + b;
  }
};

// A NaN wins over everything.
struct Largest {
  template <class T>
  using Value = T;
  template <class T>
  static T start() {
    if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::min();
    return -std::numeric_limits<T>::infinity();
  }
  template <class V>
  static V join(V a, V b) {
    const V larger = b > a ? b : a;
    return b != b ? b : larger;
  }
};

struct Smallest {
  template <class T>
  using Value = T;
  template <class T>
  static T start() {
    if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::max();
    return std::numeric_limits<T>::infinity();
  }
  template <class V>
  static V join(V a, V b) {
    const V smaller = b < a ? b : a;
    return b != b ? b : smaller;
  }
};

template <class Op, class V>
V join_four(V a, V b, V c, V d) {
  return Op::join(Op::join(a, b), Op::join(c, d));
}

namespace hn = hwy::HWY_NAMESPACE;

// Vectors to add up: of float64 whatever T is.
template <class T, class D>
HWY_INLINE hn::Vec<D> load_next(Sum, D d, const T* x) {
  if constexpr (std::is_same_v<T, float>) return hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, D>(), x));
  if constexpr (std::is_same_v<T, double>) return hn::LoadU(d, x);
}
template <class Extreme, class T, class D>
HWY_INLINE hn::Vec<D> load_next(Extreme, D d, const T* x) {
  return hn::LoadU(d, x);
}

template <class V>
HWY_INLINE V join_vectors(Sum, V a, V b) {
  return hn::Add(a, b);
}
template <class V>
HWY_INLINE V join_vectors(Largest, V a, V b) {
  return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
}
template <class V>
HWY_INLINE V join_vectors(Smallest, V a, V b) {
  return hn::IfThenElse(hn::Or(hn::Lt(b, a), hn::IsNaN(b)), b, a);
}

template <class D, class V = hn::TFromD<D>>
V join_lanes(Sum, D d, hn::Vec<D> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}
template <class D, class V = hn::TFromD<D>>
V join_lanes(Largest, D d, hn::Vec<D> v) {
  if (!hn::AllTrue(d, hn::Eq(v, v))) return std::numeric_limits<V>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, v));
}
template <class D, class V = hn::TFromD<D>>
V join_lanes(Smallest, D d, hn::Vec<D> v) {
  if (!hn::AllTrue(d, hn::Eq(v, v))) return std::numeric_limits<V>::quiet_NaN();
  return hn::GetLane(hn::MinOfLanes(d, v));
}

// x[0], ..., x[n-1] joined, in an order that n fixes.
template <class Op, class T, class V = typename Op::template Value<T>>
V reduce_run(const T* HWY_RESTRICT x, std::int64_t n) {
  std::int64_t i = 0;
  V value = Op::template start<T>();
  if constexpr (std::is_floating_point_v<T>) {
    const hn::ScalableTag<V> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    auto first = hn::Set(d, value), second = first, third = first, fourth = first;
    for (; i + 4 * lanes <= n; i += 4 * lanes) {
      first = join_vectors(Op(), first, load_next(Op(), d, x + i));
      second = join_vectors(Op(), second, load_next(Op(), d, x + i + lanes));
      third = join_vectors(Op(), third, load_next(Op(), d, x + i + 2 * lanes));
      fourth = join_vectors(Op(), fourth, load_next(Op(), d, x + i + 3 * lanes));
    }
    for (; i + lanes <= n; i += lanes) first = join_vectors(Op(), first, load_next(Op(), d, x + i));
    first =
        join_vectors(Op(), join_vectors(Op(), first, second), join_vectors(Op(), third, fourth));
    value = join_lanes(Op(), d, first);
  }
  for (; i < n; ++i) value = Op::join(value, static_cast<V>(x[i]));
  return value;
}

// result[c] = x[0][c], ..., x[rows-1][c] joined, the rows `stride` apart.
template <class Op, class T, class V = typename Op::template Value<T>>
void reduce_columns(const T* __restrict x, std::int64_t rows, std::int64_t columns,
                    std::int64_t stride, V* __restrict result) {
  for (std::int64_t c = 0; c < columns; ++c) result[c] = Op::template start<T>();
  for (; rows >= 4; rows -= 4, x += 4 * stride)
    for (std::int64_t c = 0; c < columns; ++c) {
      const V next =
          join_four<Op>(static_cast<V>(x[c]), static_cast<V>(x[stride + c]),
                        static_cast<V>(x[2 * stride + c]), static_cast<V>(x[3 * stride + c]));
      result[c] = Op::join(result[c], next);
    }
  for (; rows > 0; --rows, x += stride)
    for (std::int64_t c = 0; c < columns; ++c)
      result[c] = Op::join(result[c], static_cast<V>(x[c]));
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#endif
