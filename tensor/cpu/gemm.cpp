// Packed matrix product (Goto & van de Geijn 2008).
//
//        b: panels of `width` columns          One task computes a block of c. It copies its rows
//        | | | | |    (packed once)            of a into panels of `height` rows and then, panel
//   a    +-+-+-+-+                             by panel, keeps a tile of height x width sums in
//   ---  |t| | | |  t: one tile of c,          registers while k runs: for each k one row of b
//   ---  +-+-+-+-+     in registers            (two vectors) times `height` broadcast values.
//
// k is cut into runs of `depth`, so that a panel of b stays in the first cache. A run is summed
// from 0 in order of k; the runs' sums are added in order.
#include <ebb/tensor/cpu/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/gemm.cpp"
#include <ebb/tensor/cpu/activation.h>
#include <ebb/tensor/cpu/gemm.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3
constexpr int height = 14;  // 28 of 32 registers hold sums
#else
constexpr int height = 6;  // 12 of 16
#endif
constexpr std::int64_t depth = 256;
constexpr std::int64_t block_rows = 16 * height;

template <class T>
constexpr std::int64_t width() {
  return 2 * static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
}

// sums[height][width] = panel of a (depth-major) times panel of b.
template <class T>
HWY_INLINE void multiply_tile(std::int64_t k, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                              T* HWY_RESTRICT sums) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  V left[height], right[height];
  EBB_UNROLL for (int i = 0; i < height; ++i) left[i] = right[i] = hn::Zero(d);
  for (std::int64_t p = 0; p < k; ++p) {
    const V b0 = hn::Load(d, b), b1 = hn::Load(d, b + lanes);
    EBB_UNROLL for (int i = 0; i < height; ++i) {
      const V value = hn::Set(d, a[i]);
      left[i] = hn::MulAdd(value, b0, left[i]);
      right[i] = hn::MulAdd(value, b1, right[i]);
    }
    a += height;
    b += 2 * lanes;
  }
  EBB_UNROLL for (int i = 0; i < height; ++i) {
    hn::Store(left[i], d, sums + 2 * lanes * i);
    hn::Store(right[i], d, sums + 2 * lanes * i + lanes);
  }
}

// to[p][0..span) = rows (or columns) first..first+count of a matrix, zeros up to span.
template <class T>
void pack_panel(const T* from, std::int64_t stride, std::int64_t depth_stride, std::int64_t count,
                std::int64_t k, std::int64_t span, T* HWY_RESTRICT to) {
  for (std::int64_t p = 0; p < k; ++p, to += span) {
    const T* source = from + p * depth_stride;
    if (stride == 1) {
      std::copy(source, source + count, to);
    } else {
      for (std::int64_t i = 0; i < count; ++i) to[i] = source[i * stride];
    }
    std::fill(to + count, to + span, T(0));
  }
}

struct RunPosition {
  bool first, last;
};

template <class T>
void store_tile(const T* sums, std::int64_t rows, std::int64_t columns, T* c, std::int64_t ldc,
                RunPosition run, const Epilogue<T>& epilogue, const T* bias) {
  const bool add = !run.first || epilogue.accumulate;
  for (std::int64_t i = 0; i < rows; ++i, c += ldc, sums += width<T>()) {
    if (add) {
      for (std::int64_t j = 0; j < columns; ++j) c[j] += sums[j];
    } else {
      for (std::int64_t j = 0; j < columns; ++j) c[j] = sums[j];
    }
    if (run.last && bias)
      for (std::int64_t j = 0; j < columns; ++j) c[j] += bias[j];
    if (run.last && epilogue.activation != Activation::none)
      for (std::int64_t j = 0; j < columns; ++j) c[j] = activate(c[j], epilogue.activation);
  }
}

struct PackedA;
struct PackedB;

template <class T>
void gemm_target(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<T>& a,
                 const Matrix<T>& b, T* c, std::int64_t ldc, const Epilogue<T>& epilogue) {
  constexpr std::int64_t w = width<T>();
  const std::int64_t panels = (n + w - 1) / w;
  T* packed_b = scratch<PackedB, T>(panels * w * k);
  parallel_for(panels, std::max<std::int64_t>(1, 65536 / (w * std::max<std::int64_t>(k, 1))),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t j = begin; j < end; ++j)
                   pack_panel(b.data + j * w * b.column_stride, b.column_stride, b.row_stride,
                              std::min(w, n - j * w), k, w, packed_b + j * w * k);
               });

  const std::int64_t row_blocks = (m + block_rows - 1) / block_rows;
  const std::int64_t block_panels = std::max<std::int64_t>(1, (row_blocks < 4 ? 128 : 1024) / w);
  const std::int64_t column_blocks = (panels + block_panels - 1) / block_panels;
  const std::int64_t runs = std::max<std::int64_t>(1, (k + depth - 1) / depth);

  const auto block = [&](std::int64_t row, std::int64_t first_panel) {
    T* packed_a = scratch<PackedA, T>(block_rows * depth);
    alignas(64) T sums[height * w];
    const std::int64_t rows = std::min(block_rows, m - row);
    const std::int64_t last_panel = std::min(panels, first_panel + block_panels);
    for (std::int64_t r = 0; r < runs; ++r) {
      const std::int64_t start = r * depth, length = std::min(depth, k - start);
      for (std::int64_t i = 0; i < rows; i += height)
        pack_panel(a.data + (row + i) * a.row_stride + start * a.column_stride, a.row_stride,
                   a.column_stride, std::min<std::int64_t>(height, rows - i), length, height,
                   packed_a + i * length);
      for (std::int64_t j = first_panel; j < last_panel; ++j)
        for (std::int64_t i = 0; i < rows; i += height) {
          multiply_tile(length, packed_a + i * length, packed_b + j * w * k + start * w, sums);
          store_tile(sums, std::min<std::int64_t>(height, rows - i), std::min(w, n - j * w),
                     c + (row + i) * ldc + j * w, ldc, RunPosition{r == 0, r == runs - 1}, epilogue,
                     epilogue.bias ? epilogue.bias + j * w : nullptr);
        }
    }
  };
  const std::int64_t small = 1 << 18;  // multiplications that do not pay for waking a thread
  const std::int64_t blocks = row_blocks * column_blocks;
  parallel_for(blocks, m * n * k < small ? blocks : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      block(t / column_blocks * block_rows, t % column_blocks * block_panels);
  });
}

void gemm_float(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<float>& a,
                const Matrix<float>& b, float* c, std::int64_t ldc,
                const Epilogue<float>& epilogue) {
  gemm_target(m, n, k, a, b, c, ldc, epilogue);
}
void gemm_double(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
                 const Matrix<double>& b, double* c, std::int64_t ldc,
                 const Epilogue<double>& epilogue) {
  gemm_target(m, n, k, a, b, c, ldc, epilogue);
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

HWY_EXPORT(gemm_float);
HWY_EXPORT(gemm_double);

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<float>& a,
          const Matrix<float>& b, float* c, std::int64_t ldc, const Epilogue<float>& epilogue) {
  EBB_DISPATCH(gemm_float)(m, n, k, a, b, c, ldc, epilogue);
}
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
          const Matrix<double>& b, double* c, std::int64_t ldc, const Epilogue<double>& epilogue) {
  EBB_DISPATCH(gemm_double)(m, n, k, a, b, c, ldc, epilogue);
}

}  // namespace ebb::cpu
#endif
