#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

template <class T>
__global__ void fill_kernel(std::int64_t n, T value, T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count()) out[i] = value;
}

template <class From, class To>
__global__ void cast_kernel(std::int64_t n, const From* x, To* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count()) out[i] = convert<To>(x[i]);
}

void fill(Tensor& out, double value) {
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("fill", fill_kernel<T>, blocks_for(out.numel()), block_threads, 0, out.numel(),
           convert<T>(value), output<T>(out));
  });
}

void cast(const Tensor& x, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto from) {
    dispatch_all(out.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      launch("cast", cast_kernel<From, To>, blocks_for(x.numel()), block_threads, 0, x.numel(),
             input<From>(x), output<To>(out));
    });
  });
}

}  // namespace

void add_memory_kernels(Kernels& table) {
  table.fill = fill;
  table.cast = cast;
}

}  // namespace ebb::cuda
