// Maxima over windows: the reference's loops, shared out among the threads.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/reference/reference.h>

namespace ebb::cpu {

namespace {

void max_pool2d(const Tensor& x, const Pool2dOptions& options, Tensor& out) {
  parallel_for(out.size(0) * out.size(1), 1, [&](std::int64_t begin, std::int64_t end) {
    reference::max_pool2d(x, options, begin, end, out);
  });
}

// Windows may overlap, so that an image is one thread's.
void max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                         Tensor& dx) {
  parallel_for(x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    reference::max_pool2d_backward(grad, x, options, begin, end, dx);
  });
}

}  // namespace

void add_pool_kernels(Kernels& table) {
  table.max_pool2d = max_pool2d;
  table.max_pool2d_backward = max_pool2d_backward;
}

}  // namespace ebb::cpu
