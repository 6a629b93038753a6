// Sums, extremes and the place of the largest, along one dimension.
//
// Every result is built up in an order that its own sizes fix: blocks of fixed size, fixed lanes
// within a block, blocks added from first to last.
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/walk.h>

#include <limits>

namespace ebb::cpu {

namespace {

constexpr std::int64_t block_elements = 1 << 16;  // that one task reads
constexpr std::int64_t max_columns = 256;

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
    return b > a || b != b ? b : a;
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
    return b < a || b != b ? b : a;
  }
};

template <class Op, class T, class V = typename Op::template Value<T>>
V reduce_run(const T* x, std::int64_t n) {
  constexpr std::int64_t lanes = 16;
  V lane[lanes];
  std::fill(lane, lane + lanes, Op::template start<T>());
  const std::int64_t whole = n / lanes * lanes;
  for (std::int64_t i = 0; i < whole; i += lanes)
    for (std::int64_t l = 0; l < lanes; ++l) lane[l] = Op::join(lane[l], static_cast<V>(x[i + l]));
  for (std::int64_t i = whole; i < n; ++i)
    lane[i - whole] = Op::join(lane[i - whole], static_cast<V>(x[i]));
  for (std::int64_t half = lanes / 2; half > 0; half /= 2)
    for (std::int64_t l = 0; l < half; ++l) lane[l] = Op::join(lane[l], lane[l + half]);
  return lane[0];
}

// result[c] = x[0][c], ..., x[rows-1][c] joined, for `columns` columns of rows `stride` apart.
template <class Op, class T, class V = typename Op::template Value<T>>
void reduce_columns(const T* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                    V* result) {
  std::fill(result, result + columns, Op::template start<T>());
  for (std::int64_t r = 0; r < rows; ++r, x += stride)
    for (std::int64_t c = 0; c < columns; ++c)
      result[c] = Op::join(result[c], static_cast<V>(x[c]));
}

template <class Op, class T>
void reduce(const Tensor& x, const Along& along, Tensor& out) {
  using V = typename Op::template Value<T>;
  const auto [outer, n, inner] = along;
  if (outer * inner == 0) return;
  const T* from = input<T>(x);
  T* to = output<T>(out);
  const std::int64_t columns = std::min(inner, max_columns);
  const std::int64_t rows = std::max<std::int64_t>(1, block_elements / columns);
  const std::int64_t chunks = (inner + columns - 1) / columns;
  const std::int64_t blocks = std::max<std::int64_t>(1, (n + rows - 1) / rows);
  // parts[o][b][i]: the part of block b in result (o, i).
  std::vector<V> parts(static_cast<std::size_t>(blocks > 1 ? outer * blocks * inner : 0));
  const std::int64_t task = std::max<std::int64_t>(1, std::min(n, rows) * columns);
  parallel_for(
      outer * blocks * chunks, std::max<std::int64_t>(1, block_elements / task),
      [&](std::int64_t begin, std::int64_t end) {
        V local[max_columns];
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int64_t chunk = t % chunks, b = t / chunks % blocks, o = t / chunks / blocks;
          const std::int64_t first = chunk * columns, width = std::min(columns, inner - first);
          const std::int64_t row = b * rows, height = std::min(rows, n - row);
          const T* source = from + (o * n + row) * inner + first;
          if (inner == 1) {
            local[0] = reduce_run<Op>(source, height);
          } else {
            reduce_columns<Op>(source, height, width, inner, local);
          }
          if (blocks > 1) {
            std::copy(local, local + width, parts.data() + (o * blocks + b) * inner + first);
          } else {
            for (std::int64_t i = 0; i < width; ++i)
              to[o * inner + first + i] = static_cast<T>(local[i]);
          }
        }
      });
  if (blocks == 1) return;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      V value = Op::template start<T>();
      for (std::int64_t b = 0; b < blocks; ++b)
        value = Op::join(value, parts[static_cast<std::size_t>((o * blocks + b) * inner + i)]);
      to[o * inner + i] = static_cast<T>(value);
    }
  }
}

void reduce(Reduction reduction, const Tensor& x, const Along& along, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (reduction == Reduction::sum) reduce<Sum, T>(x, along, out);
    if (reduction == Reduction::amax) reduce<Largest, T>(x, along, out);
    if (reduction == Reduction::amin) reduce<Smallest, T>(x, along, out);
  });
}

// The first NaN, if there is one, counts as the largest.
void argmax(const Tensor& x, const Along& along, Tensor& out) {
  const std::int64_t n = along.n, inner = along.inner;
  std::int64_t* to = output<std::int64_t>(out);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    parallel_for(out.numel(), std::max<std::int64_t>(1, block_elements / n),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const T* column = from + i / inner * n * inner + i % inner;
                     std::int64_t best = 0;
                     for (std::int64_t j = 1; j < n; ++j) {
                       const T value = column[j * inner], largest = column[best * inner];
                       if (value > largest || (value != value && largest == largest)) best = j;
                     }
                     to[i] = best;
                   }
                 });
  });
}

}  // namespace

void add_reduce_kernels(Kernels& table) {
  table.reduce = reduce;
  table.argmax = argmax;
}

}  // namespace ebb::cpu
