// Running sums and products, sorting and the place of the largest: the reference's loops over whole
// columns, shared out among the threads.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/reference/reference.h>

#include <algorithm>

namespace ebb::cpu {

namespace {

// body(begin, end) for the columns of n elements.
template <class Body>
void for_columns(const AxisView& along, const Body& body) {
  const std::int64_t n = std::max<std::int64_t>(1, along.n);
  parallel_for(along.outer * along.inner, std::max<std::int64_t>(1, (1 << 14) / n), body);
}

void scan(Scan kind, const Tensor& x, const AxisView& along, Tensor& out) {
  for_columns(along, [&](std::int64_t begin, std::int64_t end) {
    reference::scan(kind, x, along, begin, end, out);
  });
}

void cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const AxisView& along,
                      Tensor& out) {
  for_columns(along, [&](std::int64_t begin, std::int64_t end) {
    reference::cumprod_backward(grad, x, y, along, begin, end, out);
  });
}

void sort(const Tensor& x, const AxisView& along, Tensor& out) {
  for_columns(along, [&](std::int64_t begin, std::int64_t end) {
    reference::sort(x, along, begin, end, out);
  });
}

void argsort(const Tensor& x, const AxisView& along, Tensor& out) {
  for_columns(along, [&](std::int64_t begin, std::int64_t end) {
    reference::argsort(x, along, begin, end, out);
  });
}

void argmax(const Tensor& x, const AxisView& along, Tensor& out) {
  for_columns(along, [&](std::int64_t begin, std::int64_t end) {
    reference::argmax(x, along, begin, end, out);
  });
}

}  // namespace

void add_along_kernels(Kernels& table) {
  table.scan = scan;
  table.cumprod_backward = cumprod_backward;
  table.sort = sort;
  table.argsort = argsort;
  table.argmax = argmax;
}

}  // namespace ebb::cpu
