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
    return (b > a) | (b != b) ? b : a;
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
    return (b < a) | (b != b) ? b : a;
  }
};

template <class Op, class V>
V join_four(V a, V b, V c, V d) {
  return Op::join(Op::join(a, b), Op::join(c, d));
}

// x[0], ..., x[n-1] joined, in an order that n fixes.
template <class Op, class T, class V = typename Op::template Value<T>>
V reduce_run(const T* __restrict x, std::int64_t n) {
  constexpr std::int64_t lanes = 16;
  if (n < lanes) {
    V value = Op::template start<T>();
    for (std::int64_t i = 0; i < n; ++i) value = Op::join(value, static_cast<V>(x[i]));
    return value;
  }
  V lane[lanes];
  for (V& value : lane) value = Op::template start<T>();
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes)
    for (std::int64_t l = 0; l < lanes; ++l) {
      const T* at = x + i + l;
      const V next = join_four<Op>(static_cast<V>(at[0]), static_cast<V>(at[lanes]),
                                   static_cast<V>(at[2 * lanes]), static_cast<V>(at[3 * lanes]));
      lane[l] = Op::join(lane[l], next);
    }
  for (; i + lanes <= n; i += lanes)
    for (std::int64_t l = 0; l < lanes; ++l) lane[l] = Op::join(lane[l], static_cast<V>(x[i + l]));
  for (std::int64_t l = 0; i < n; ++l, ++i) lane[l] = Op::join(lane[l], static_cast<V>(x[i]));
  for (std::int64_t half = lanes / 2; half > 0; half /= 2)
    for (std::int64_t l = 0; l < half; ++l) lane[l] = Op::join(lane[l], lane[l + half]);
  return lane[0];
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
