#include <ebb/tensor/reference/reference.h>

namespace ebb::reference {

namespace {

void copy_view(const Tensor& x, const View& from, Tensor& out, const View& to, const Shape& walk) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < walk.numel(); ++i)
      output<T>(out)[to.at(i, walk)] = input<T>(x)[from.at(i, walk)];
  });
}

// Calls body(place in x, place in out) for the elements of out (outer, k, inner).
template <class Body>
void chosen(const AxisView& along, const Tensor& index, const View& at, std::int64_t numel,
            const Body& body) {
  if (numel == 0) return;
  const Shape shape{along.outer, numel / (along.outer * along.inner), along.inner};
  for (std::int64_t i = 0; i < numel; ++i) {
    const std::int64_t row = input<std::int64_t>(index)[at.at(i, shape)];
    body((i / (shape[1] * along.inner) * along.n + row) * along.inner + i % along.inner, i);
  }
}

void gather(const Tensor& x, const AxisView& along, const Tensor& index, const View& at,
            Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    chosen(along, index, at, out.numel(),
           [&](std::int64_t from, std::int64_t to) { output<T>(out)[to] = input<T>(x)[from]; });
  });
}

void scatter_add(const Tensor& grad, const AxisView& along, const Tensor& index, const View& at,
                 Tensor& x) {
  dispatch_all(grad.dtype(), [&](auto zero) {
    using T = decltype(zero);
    chosen(along, index, at, grad.numel(),
           [&](std::int64_t to, std::int64_t from) { output<T>(x)[to] += input<T>(grad)[from]; });
  });
}

}  // namespace

void check_index(std::string_view operation, const Tensor& index, std::int64_t n) {
  for (std::int64_t i = 0; i < index.numel(); ++i) {
    const std::int64_t value = input<std::int64_t>(index)[i];
    check(value >= 0 && value < n, "{}: index {} is out of range; it must be in [0, {})", operation,
          value, n);
  }
}

void add_layout_kernels(Kernels& table) {
  table.check_index = check_index;
  table.copy_view = copy_view;
  table.gather = gather;
  table.scatter_add = scatter_add;
}

}  // namespace ebb::reference
