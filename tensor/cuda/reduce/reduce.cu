// Plain: a thread a column, from its first element to its last. What has more than a few elements
// goes to reduce_pieces.cu.
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/reduce/column.h>
#include <ebb/tensor/cuda/reduce/reduce_pieces.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

template <class T>
__global__ void sum_columns(std::int64_t columns, AxisView along, const T* x, T* out) {
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const T* column = x + first_of(i, along);
    Running<T> sum = 0;
    for (std::int64_t j = 0; j < along.n; ++j)
      sum += static_cast<Running<T>>(column[j * along.inner]);
    out[i] = static_cast<T>(sum);
  }
}

// A NaN is the largest and the smallest.
template <bool largest, class T>
__global__ void extreme_of_columns(std::int64_t columns, AxisView along, const T* x, T* out) {
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const T* column = x + first_of(i, along);
    T best = column[0];
    for (std::int64_t j = 1; j < along.n; ++j) {
      const T value = column[j * along.inner];
      if (value != value || (largest ? value > best : value < best)) best = value;
    }
    out[i] = best;
  }
}

// The first NaN, if there is one, counts as the largest.
template <class T>
__global__ void argmax_of_columns(std::int64_t columns, AxisView along, const T* x,
                                  std::int64_t* out) {
  for (std::int64_t i = thread_index(); i < columns; i += thread_count()) {
    const T* column = x + first_of(i, along);
    std::int64_t best = 0;
    T largest = column[0];
    for (std::int64_t j = 1; j < along.n; ++j) {
      const T value = column[j * along.inner];
      if (value > largest || (value != value && largest == largest)) {
        best = j;
        largest = value;
      }
    }
    out[i] = best;
  }
}

void reduce(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out) {
  if (out.numel() > 0 && worth_pieces(along)) return reduce_by_pieces(reduction, x, along, out);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto* kernel) {
      launch("reduce", kernel, blocks_for(out.numel()), block_threads, 0, out.numel(), along,
             input<T>(x), output<T>(out));
    };
    switch (reduction) {
      case Reduction::sum:
        return run(sum_columns<T>);
      case Reduction::amax:
        return run(extreme_of_columns<true, T>);
      case Reduction::amin:
        return run(extreme_of_columns<false, T>);
    }
  });
}

void argmax(const Tensor& x, const AxisView& along, Tensor& out) {
  if (out.numel() > 0 && worth_pieces(along)) return argmax_by_pieces(x, along, out);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("argmax", argmax_of_columns<T>, blocks_for(out.numel()), block_threads, 0, out.numel(),
           along, input<T>(x), output<std::int64_t>(out));
  });
}

}  // namespace

void add_reduce_kernels(Kernels& table) {
  table.reduce = reduce;
  table.argmax = argmax;
}

}  // namespace ebb::cuda
