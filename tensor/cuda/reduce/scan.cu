// Running sums and products. Plain: a thread a column. Fast: sums of long rows of neighbours, a
// block a row. Products stay with the plain one: that of some elements in the middle may overflow
// where those from the first on do not.
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/reduce/column.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

// ---- Plain ----

template <bool sums, class T>
__global__ void scan_columns(std::int64_t columns, AxisView along, const T* x, T* out) {
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    Running<T> value = sums ? 0 : 1;
    std::int64_t at = first_of(i, along);
    for (std::int64_t j = 0; j < along.n; ++j, at += along.inner) {
      const auto next = static_cast<Running<T>>(x[at]);
      value = sums ? value + next : value * next;
      out[at] = static_cast<T>(value);
    }
  }
}

// dx_k = sum_{i >= k} g_i prod_{j <= i, j != k} x_j. Before the first zero, at z, that product is
// y_i / x_k, and nothing from z on counts; at z the products go on without x_z; behind it all are
// zero.
template <class T>
__global__ void cumprod_backward_columns(std::int64_t columns, AxisView along, const T* grad,
                                         const T* x, const T* y, T* out) {
  const std::int64_t n = along.n, step = along.inner;
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const std::int64_t first = first_of(i, along);
    std::int64_t z = 0;
    while (z < n && x[first + z * step] != T(0)) ++z;
    double tail = 0;
    for (std::int64_t k = z; k-- > 0;) {
      const std::int64_t at = first + k * step;
      tail += double(grad[at]) * double(y[at]);
      out[at] = static_cast<T>(tail / double(x[at]));
    }
    double product = z == 0 ? 1 : double(y[first + (z - 1) * step]), total = 0;
    for (std::int64_t k = z; k < n; ++k) {
      const std::int64_t at = first + k * step;
      if (k > z) product *= double(x[at]);
      total += double(grad[at]) * product;
      out[at] = T(0);
    }
    if (z < n) out[first + z * step] = static_cast<T>(total);
  }
}

// ---- Fast ----

constexpr int scanned_by_a_thread = 8, scan_warps = block_threads / 32;
constexpr std::int64_t fewest_for_a_block = 256;

// A thread adds up 8 neighbours, a warp's threads come before one another, then the warps of the
// block, then its steps along the row.
template <class T>
__global__ void sum_along_rows(std::int64_t rows, std::int64_t n, const T* x, T* out) {
  using Value = Running<T>;
  __shared__ Value of_warps[scan_warps];
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    Value before_step = 0;
    for (std::int64_t begin = 0; begin < n; begin += blockDim.x * scanned_by_a_thread) {
      const std::int64_t j = begin + threadIdx.x * scanned_by_a_thread;
      const std::int64_t first = row * n + j;
      Value sum[scanned_by_a_thread], last = 0;
      for (int k = 0; k < scanned_by_a_thread; ++k)
        sum[k] = last += j + k < n ? static_cast<Value>(x[first + k]) : Value(0);

      Value through = last;  // from the warp's first thread to this one
      for (int lanes = 1; lanes < 32; lanes *= 2) {
        const Value below = __shfl_up_sync(0xffffffffu, through, lanes);
        if (lane >= lanes) through = below + through;
      }
      const Value below = __shfl_up_sync(0xffffffffu, through, 1);
      if (lane == 31) of_warps[warp] = through;
      __syncthreads();
      Value before = 0;
      for (int w = 0; w < scan_warps; ++w) {
        if (w == warp) before = before_step;
        before_step += of_warps[w];
      }
      __syncthreads();  // before the next step's
      if (lane > 0) before += below;
      for (int k = 0; k < scanned_by_a_thread; ++k)
        if (j + k < n) out[first + k] = static_cast<T>(before + sum[k]);
    }
  }
}

// ---- Which of them ----

void scan(Scan kind, const Tensor& x, const AxisView& along, Tensor& out) {
  if (x.numel() == 0) return;
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    const std::int64_t columns = along.outer * along.inner;
    if (kind == Scan::sum && along.inner == 1 && along.n >= fewest_for_a_block)
      return launch("scan", sum_along_rows<T>, blocks_for(columns * block_threads), block_threads,
                    0, columns, along.n, from, to);
    launch("scan", kind == Scan::sum ? scan_columns<true, T> : scan_columns<false, T>,
           blocks_for(columns), block_threads, 0, columns, along, from, to);
  });
}

void cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const AxisView& along,
                      Tensor& out) {
  if (x.numel() == 0) return;
  dispatch_floating("cumprod_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t columns = along.outer * along.inner;
    launch("cumprod_backward", cumprod_backward_columns<T>, blocks_for(columns), block_threads, 0,
           columns, along, input<T>(grad), input<T>(x), input<T>(y), output<T>(out));
  });
}

}  // namespace

void add_scan_kernels(Kernels& table) {
  table.scan = scan;
  table.cumprod_backward = cumprod_backward;
}

}  // namespace ebb::cuda
