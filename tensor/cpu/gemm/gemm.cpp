// Product of float32 matrices by tiles (Goto & van de Geijn 2008).
//
//        b: panels of tile_columns columns     One task computes a block of c: for each panel of b
//        | | | | |    (packed once)            and each tile_rows rows of a, a tile of sums stays
//   a    +-+-+-+-+                             in registers while k runs (register_tile-inl.h).
//   Rows of a
//   ---  |t| | | |  t: one tile of c           are read where they lie.
//   ---  +-+-+-+-+
//
// k is cut into runs of `depth`, so that a panel of b stays in the nearest caches. A run is summed
// from 0 in order of k; the runs' sums are added in order. Where c has too few blocks for all
// threads, runs are tasks too, and their sums wait in memory to be added.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/gemm/gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/register_tile-inl.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {

constexpr std::int64_t depth = 512;
constexpr std::int64_t block_rows = 8 * tile_rows;
constexpr std::int64_t small = 1 << 18;    // multiplications that do not pay for waking a thread
constexpr std::int64_t waiting_runs = 16;  // at most, whose sums are in memory together

struct PackedA;
struct PackedB;
struct Bias;
struct Sums;

// Whether elements `stride` apart lie a multiple of `bytes` apart.
template <class T>
bool is_multiple_of(std::int64_t bytes, std::int64_t stride) {
  return stride * static_cast<std::int64_t>(sizeof(T)) % bytes == 0;
}

template <class T>
struct Product {
  std::int64_t m, n, k;
  const Matrix<T>&a, &b;
  const T* panels;  // packed b; panel j at j * width * k. Those before `direct` are read from b
  std::int64_t direct;
  T* c;
  std::int64_t ldc;
  const Epilogue<T>& epilogue;
  const T* bias;

  // A block of c: block_rows rows (or up to m) from `row` on, panels [first, last) of columns. It
  // sums over [begin, end) of k, where a run begins.
  void block(std::int64_t row, std::int64_t first, std::int64_t last, std::int64_t begin,
             std::int64_t end) const {
    constexpr std::int64_t width = tile_columns<T>();
    const std::int64_t end_row = std::min(row + block_rows, m);
    const T* sources[tile_rows];
    T* targets[tile_rows];
    for (std::int64_t start = begin; start == begin || start < end; start += depth) {
      const std::int64_t length = std::min(depth, end - start);
      const bool last_run = start + depth >= end;
      // A tile's rows of a stay in the first cache while the panels pass by in the second.
      for (std::int64_t i = row; i < end_row; i += tile_rows) {
        const std::int64_t rows = std::min<std::int64_t>(tile_rows, end_row - i);
        const std::int64_t step = gather_rows(i, rows, start, length, last - first, sources);
        // The next tile's rows come while this one's many panels pass by.
        if (a.column_stride == 1 && last - first > 4)
          for (std::int64_t t = i + rows; t < std::min(i + rows + tile_rows, end_row); ++t)
            prefetch(a.data + t * a.row_stride + start, length);
        for (std::int64_t j = first; j < last; ++j) {
          for (std::int64_t t = 0; t < rows; ++t) targets[t] = c + (i + t) * ldc + j * width;
          const bool direct_panel = j < direct;
          const T* panel = direct_panel ? b.data + start * b.row_stride + j * width
                                        : panels + (j - direct) * width * k + start * width;
          multiply_tile(
              Tile<T>{1, length, sources, 0, step, panel, direct_panel ? b.row_stride : width,
                      targets, std::min(width, n - j * width), start > begin || epilogue.accumulate,
                      last_run && bias ? bias + j * width : nullptr,
                      last_run ? epilogue.activation : Activation::none},
              0, rows);
        }
      }
    }
  }

  // All of c, by tasks of one run each. For no bias and no activation.
  void sum_runs(std::int64_t row_blocks, std::int64_t column_panels) const {
    const std::int64_t runs = (k + depth - 1) / depth, size = m * n;
    T* sums = scratch<Sums, T>(std::min(runs, waiting_runs) * size);
    for (std::int64_t from = 0; from < runs; from += waiting_runs) {
      const std::int64_t count = std::min(waiting_runs, runs - from);
      parallel_for(count * row_blocks, 1, [&](std::int64_t task, std::int64_t) {
        const std::int64_t r = task / row_blocks, start = (from + r) * depth;
        const Epilogue<T> plain;
        Product{m, n, k, a, b, panels, direct, sums + r * size, n, plain, nullptr}.block(
            task % row_blocks * block_rows, 0, column_panels, start, std::min(k, start + depth));
      });
      parallel_for(m, (1 << 14) / (n * count) + 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          T* row = c + i * ldc;
          for (std::int64_t r = 0; r < count; ++r) {
            const T* more = sums + r * size + i * n;
            const bool add = from + r > 0 || epilogue.accumulate;
            for (std::int64_t j = 0; j < n; ++j) row[j] = add ? row[j] + more[j] : more[j];
          }
        }
      });
    }
  }

  // Pointers to the rows of a; returns the step along k. What would fall on the same few lines of
  // the cache again and again is copied side by side first.
  std::int64_t gather_rows(std::int64_t row, std::int64_t rows, std::int64_t start,
                           std::int64_t length, std::int64_t uses, const T** sources) const {
    const T* from = a.data + row * a.row_stride + start * a.column_stride;
    const bool by_columns = a.column_stride != 1;
    if (by_columns ? uses == 1 || !is_multiple_of<T>(1024, a.column_stride)
                   : uses <= 4 || !is_multiple_of<T>(4096, a.row_stride)) {
      for (std::int64_t i = 0; i < rows; ++i) sources[i] = from + i * a.row_stride;
      return a.column_stride;
    }
    constexpr std::int64_t pitch = depth + 16;
    T* packed = scratch<PackedA, T>(tile_rows * pitch);
    if (by_columns) {
      for (std::int64_t p = 0; p < length; ++p)
        std::copy_n(from + p * a.column_stride, rows, packed + p * tile_rows);
      for (std::int64_t i = 0; i < rows; ++i) sources[i] = packed + i;
      return tile_rows;
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      sources[i] = packed + i * pitch;
      std::copy_n(from + i * a.row_stride, length, packed + i * pitch);
    }
    return 1;
  }
};

template <class T>
void gemm_target(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<T>& a,
                 const Matrix<T>& b, T* c, std::int64_t ldc, const Epilogue<T>& epilogue) {
  if (m == 0 || n == 0) return;
  constexpr std::int64_t width = tile_columns<T>();
  const std::int64_t count = (n + width - 1) / width;
  const std::int64_t row_blocks = (m + block_rows - 1) / block_rows;
  const bool by_runs = k > depth && row_blocks * count < 64 && m * n * k >= small &&
                       !epilogue.bias && epilogue.activation == Activation::none;
  // With few rows of a, or where a task has one run, copying b would cost more than it saves; but
  // a run's rows of b may fall on the same few lines of the cache.
  const bool read_in_place =
      b.column_stride == 1 &&
      (row_blocks == 1 || (by_runs && !is_multiple_of<T>(1024, b.row_stride)));
  const std::int64_t direct = read_in_place ? n / width : 0;
  T* panels = scratch<PackedB, T>((count - direct) * width * k);
  // Some rows of all panels at a time where b's rows are to be read on.
  const std::int64_t rows = b.column_stride == 1 ? std::min<std::int64_t>(k, 16) : k;
  const std::int64_t pieces = rows == 0 ? 0 : (k + rows - 1) / rows * (count - direct);
  parallel_for(
      pieces, (1 << 14) / (width * rows + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t piece = begin; piece < end; ++piece) {
          const std::int64_t j = piece % (count - direct), p = piece / (count - direct) * rows;
          const std::int64_t column = (direct + j) * width;
          pack_columns(b.data + column * b.column_stride + p * b.row_stride, b.column_stride,
                       b.row_stride, std::min(width, n - column), std::min(rows, k - p),
                       panels + (j * k + p) * width);
        }
      });
  T* bias = nullptr;
  if (epilogue.bias) {
    bias = scratch<Bias, T>(count * width);
    std::fill(std::copy_n(epilogue.bias, n, bias), bias + count * width, T(0));
  }

  const Product<T> product{m, n, k, a, b, panels, direct, c, ldc, epilogue, bias};
  if (by_runs) return product.sum_runs(row_blocks, count);
  // A block's panels fit the second cache; with few blocks of rows there must be enough of columns
  // for all threads.
  const std::int64_t most_panels =
      std::max<std::int64_t>(1, (1 << 17) / (width * std::clamp<std::int64_t>(k, 64, depth)));
  const std::int64_t task_panels =
      row_blocks < 4 ? std::clamp<std::int64_t>(count / 8, 1, most_panels) : most_panels;
  const std::int64_t column_blocks = (count + task_panels - 1) / task_panels;
  const std::int64_t tasks = row_blocks * column_blocks;
  parallel_for(tasks, m * n * k < small ? tasks : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t first = t / row_blocks * task_panels;
      product.block(t % row_blocks * block_rows, first, std::min(count, first + task_panels), 0, k);
    }
  });
}

void gemm_float(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<float>& a,
                const Matrix<float>& b, float* c, std::int64_t ldc,
                const Epilogue<float>& epilogue) {
  gemm_target(m, n, k, a, b, c, ldc, epilogue);
}

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

HWY_EXPORT(gemm_float);

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<float>& a,
          const Matrix<float>& b, float* c, std::int64_t ldc, const Epilogue<float>& epilogue) {
  EBB_DISPATCH(gemm_float)(m, n, k, a, b, c, ldc, epilogue);
}

}  // namespace ebb::cpu
#endif
