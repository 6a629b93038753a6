// The functions of layout.h that read an index tensor.
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/pointwise.h>

namespace ebb {

void check_index(std::string_view operation, const Tensor& index, std::int64_t n) {
  check_defined(operation, index);
  check(index.dtype() == DType::int64, "{}: the index is {}; it must be int64", operation,
        index.dtype());
  use(operation, index.device(), kernels(index.device()).check_index)(operation, index, n);
}

namespace {

AxisView along_dim(const Shape& shape, std::int64_t dim) {
  AxisView along{1, shape[dim], 1};
  for (std::int64_t d = 0; d < shape.rank(); ++d)
    if (d != dim) (d < dim ? along.outer : along.inner) *= shape[d];
  return along;
}

// The part of shape `x` that an index of shape `index` can reach: index's sizes, all of `dim`.
Shape reach(std::string_view operation, const Shape& x, const Shape& index, std::int64_t dim) {
  bool fits = x.rank() == index.rank();
  for (std::int64_t d = 0; fits && d < x.rank(); ++d) fits = d == dim || index[d] <= x[d];
  check(fits, "{}: index {} reaches beyond {} outside dimension {}", operation, index, x, dim);
  Shape result = index;
  result.set(dim, x[dim]);
  return result;
}

View gather_view(const Shape& index, std::int64_t dim) {
  const AxisView along = along_dim(index, dim);
  return {0, {along.n * along.inner, along.inner, 1}};
}

// One index for a whole slice.
View select_view() { return {0, {0, 1, 0}}; }

std::vector<std::int64_t> crop_widths(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> widths;
  for (std::int64_t d = from.rank() - 1; d >= 0; --d) {
    widths.push_back(0);
    widths.push_back(to[d] - from[d]);
  }
  return widths;
}

}  // namespace

Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index) {
  check_defined("gather", x);
  dim = normalize_dim("gather", dim, x.rank());
  check_index("gather", index, x.size(dim));
  const Device device = common_device("gather", {&x, &index});
  const Shape part = reach("gather", x.shape(), index.shape(), dim);
  const Tensor source = part == x.shape() ? x : pad(x, crop_widths(x.shape(), part));
  Tensor out = Tensor::empty(index.shape(), x.dtype(), device);
  use("gather", device, kernels(device).gather)(source, along_dim(part, dim), index,
                                                gather_view(index.shape(), dim), out);
  return out;
}

Tensor gather_backward(const Tensor& grad, const Shape& shape, std::int64_t dim,
                       const Tensor& index) {
  check_defined("gather_backward", grad);
  dim = normalize_dim("gather_backward", dim, shape.rank());
  check_index("gather_backward", index, shape[dim]);
  check_same_shape("gather_backward", grad, index);
  const Device device = common_device("gather_backward", {&grad, &index});
  const Shape part = reach("gather_backward", shape, index.shape(), dim);
  Tensor out = zeros(part, grad);
  use("gather_backward", device, kernels(device).scatter_add)(grad, along_dim(part, dim), index,
                                                              gather_view(index.shape(), dim), out);
  return part == shape ? out : pad(out, crop_widths(part, shape));
}

Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index) {
  check_defined("index_select", x);
  dim = normalize_dim("index_select", dim, x.rank());
  check_index("index_select", index, x.size(dim));
  check(index.rank() == 1, "index_select: the index has shape {}; it must have one dimension",
        index.shape());
  const Device device = common_device("index_select", {&x, &index});
  Shape shape = x.shape();
  shape.set(dim, index.numel());
  Tensor out = Tensor::empty(shape, x.dtype(), device);
  use("index_select", device, kernels(device).gather)(x, along_dim(x.shape(), dim), index,
                                                      select_view(), out);
  return out;
}

Tensor index_select_backward(const Tensor& grad, const Shape& shape, std::int64_t dim,
                             const Tensor& index) {
  check_defined("index_select_backward", grad);
  dim = normalize_dim("index_select_backward", dim, shape.rank());
  check_index("index_select_backward", index, shape[dim]);
  Shape expected = shape;
  expected.set(dim, index.numel());
  check(index.rank() == 1 && grad.shape() == expected,
        "index_select_backward: gradient {} of shape {} by index {}; it must have shape {}",
        grad.shape(), shape, index.shape(), expected);
  const Device device = common_device("index_select_backward", {&grad, &index});
  Tensor out = zeros(shape, grad);
  use("index_select_backward", device, kernels(device).scatter_add)(grad, along_dim(shape, dim),
                                                                    index, select_view(), out);
  return out;
}

Tensor one_hot(const Tensor& labels, std::int64_t classes, DType dtype) {
  check_index("one_hot", labels, classes);
  const Tensor numbers = Tensor::arange(classes).to(labels.device());
  return equal(labels.reshape(labels.shape().with(labels.rank(), 1)), numbers).to(dtype);
}

}  // namespace ebb
