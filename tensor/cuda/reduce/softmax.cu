// Softmax and its logarithm. Fast: float32 rows of neighbours, each by a warp or, from 1025
// elements on, by a block. Plain: a thread a column, for the rest.
#include <ebb/tensor/cuda/common/block_reduce.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/reduce/column.h>
#include <ebb/tensor/cuda/table.h>
#include <ebb/tensor/scalar_math.h>

#include <limits>

namespace ebb::cuda {

namespace {

// ---- Plain ----

template <class T>
__global__ void softmax_columns(bool logarithm, std::int64_t columns, AxisView along, const T* x,
                                T* out) {
  const std::int64_t n = along.n, step = along.inner;
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const T* from = x + first_of(i, along);
    T* to = out + first_of(i, along);
    T largest = from[0];
    for (std::int64_t j = 1; j < n; ++j) largest = Larger{}(largest, from[j * step]);
    double total = 0;
    for (std::int64_t j = 0; j < n; ++j)
      total += std::exp(double(from[j * step]) - double(largest));
    const double log_total = detail::log(total);
    for (std::int64_t j = 0; j < n; ++j) {
      const double shifted = double(from[j * step]) - double(largest);
      to[j * step] = T(logarithm ? shifted - log_total : std::exp(shifted) / total);
    }
  }
}

template <class T>
__global__ void softmax_backward_columns(bool logarithm, std::int64_t columns, AxisView along,
                                         const T* grad, const T* y, T* out) {
  const std::int64_t n = along.n, step = along.inner;
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const std::int64_t first = first_of(i, along);
    const T *g = grad + first, *value = y + first;
    T* to = out + first;
    double total = 0;
    for (std::int64_t j = 0; j < n * step; j += step)
      total += double(g[j]) * (logarithm ? 1 : double(value[j]));
    for (std::int64_t j = 0; j < n * step; j += step)
      to[j] = logarithm ? T(double(g[j]) - std::exp(double(value[j])) * total)
                        : T(double(value[j]) * (double(g[j]) - total));
  }
}

// ---- Fast ----

constexpr std::int64_t most_for_a_warp = 1024;

// Who does rows first, first + step, ... of a launch: a warp or a block, whose threads do elements
// lane, lane + lanes, ...
template <bool block>
struct Team {
  const std::int64_t first = block ? blockIdx.x : thread_index() / 32;
  const std::int64_t step = block ? gridDim.x : thread_count() / 32;
  const std::int64_t lane = block ? threadIdx.x : threadIdx.x % 32;
  const std::int64_t lanes = block ? blockDim.x : 32;

  template <class T, class Join>
  __device__ T reduce(T value, const Join& join) const {
    if constexpr (block) {
      __shared__ T of_warps[block_threads / 32];
      return block_reduce(value, join, of_warps);
    } else {
      return warp_reduce(value, join);
    }
  }
};

template <bool block, bool logarithm>
__global__ void softmax_rows(std::int64_t rows, std::int64_t n, const float* x, float* out) {
  const Team<block> team;
  for (std::int64_t row = team.first; row < rows; row += team.step) {
    const float* from = x + row * n;
    float* to = out + row * n;
    float largest = -std::numeric_limits<float>::infinity();
    for (std::int64_t j = team.lane; j < n; j += team.lanes) largest = Larger{}(largest, from[j]);
    largest = team.reduce(largest, Larger{});
    double sum = 0;
    for (std::int64_t j = team.lane; j < n; j += team.lanes)
      sum += double(detail::exp(from[j] - largest));
    const auto total = static_cast<float>(team.reduce(sum, Add{}));
    const float shift = logarithm ? detail::log(total) : 0, scale = 1 / total;
    for (std::int64_t j = team.lane; j < n; j += team.lanes)
      to[j] = logarithm ? from[j] - largest - shift : detail::exp(from[j] - largest) * scale;
  }
}

template <bool block, bool logarithm>
__global__ void softmax_backward_rows(std::int64_t rows, std::int64_t n, const float* grad,
                                      const float* y, float* out) {
  const Team<block> team;
  for (std::int64_t row = team.first; row < rows; row += team.step) {
    const float *g = grad + row * n, *value = y + row * n;
    float* to = out + row * n;
    double sum = 0;
    for (std::int64_t j = team.lane; j < n; j += team.lanes)
      sum += double(logarithm ? g[j] : g[j] * value[j]);
    const auto total = static_cast<float>(team.reduce(sum, Add{}));
    for (std::int64_t j = team.lane; j < n; j += team.lanes)
      to[j] = logarithm ? g[j] - detail::exp(value[j]) * total : value[j] * (g[j] - total);
  }
}

// Calls launch_rows(block, logarithm, blocks) with the first two as types.
template <class Launch>
void over_rows(bool logarithm, const AxisView& along, const Launch& launch_rows) {
  const auto with = [&](auto block) {
    const std::int64_t of_a_block = block() ? 1 : block_threads / 32;
    const unsigned blocks = blocks_for((along.outer + of_a_block - 1) / of_a_block * block_threads);
    if (logarithm)
      launch_rows(block, std::true_type(), blocks);
    else
      launch_rows(block, std::false_type(), blocks);
  };
  if (along.n > most_for_a_warp)
    with(std::true_type());
  else
    with(std::false_type());
}

// ---- Which of them ----

bool by_rows(const Tensor& x, const AxisView& along) {
  return along.inner == 1 && x.dtype() == DType::float32;
}

void softmax(bool logarithm, const Tensor& x, const AxisView& along, Tensor& out) {
  if (x.numel() == 0) return;
  if (by_rows(x, along))
    return over_rows(logarithm, along, [&](auto block, auto log, unsigned blocks) {
      launch("softmax", softmax_rows<block(), log()>, blocks, block_threads, 0, along.outer,
             along.n, input<float>(x), output<float>(out));
    });
  dispatch_floating("softmax", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t columns = along.outer * along.inner;
    launch("softmax", softmax_columns<T>, blocks_for(columns), block_threads, 0, logarithm, columns,
           along, input<T>(x), output<T>(out));
  });
}

void softmax_backward(bool logarithm, const Tensor& grad, const Tensor& y, const AxisView& along,
                      Tensor& out) {
  if (y.numel() == 0) return;
  if (by_rows(y, along))
    return over_rows(logarithm, along, [&](auto block, auto log, unsigned blocks) {
      launch("softmax_backward", softmax_backward_rows<block(), log()>, blocks, block_threads, 0,
             along.outer, along.n, input<float>(grad), input<float>(y), output<float>(out));
    });
  dispatch_floating("softmax_backward", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t columns = along.outer * along.inner;
    launch("softmax_backward", softmax_backward_columns<T>, blocks_for(columns), block_threads, 0,
           logarithm, columns, along, input<T>(grad), input<T>(y), output<T>(out));
  });
}

}  // namespace

void add_softmax_kernels(Kernels& table) {
  table.softmax = softmax;
  table.softmax_backward = softmax_backward;
}

}  // namespace ebb::cuda
