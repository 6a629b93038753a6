#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>
#include <limits>

namespace ebb {

namespace {

using Mask = std::array<bool, Shape::max_rank>;

// As PyTorch does, a scalar has one dimension for those who name it.
std::int64_t named_dim(std::string_view operation, std::int64_t dim, std::int64_t rank) {
  return normalize_dim(operation, dim, std::max<std::int64_t>(rank, 1));
}

// Which dimensions `dims` names.
Mask reduced(std::string_view operation, const Shape& shape, const Dims& dims) {
  Mask mask{};
  if (dims.empty()) mask.fill(true);
  for (const std::int64_t dim : dims) {
    bool& named = mask[named_dim(operation, dim, shape.rank())];
    check(!named, "{}: dimension {} is named twice in ({}); name it once", operation, dim,
          fmt::join(dims, ", "));
    named = true;
  }
  return mask;
}

Shape shape_of(const Shape& shape, const Mask& mask, bool keepdim) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t d = 0; d < shape.rank(); ++d) {
    if (!mask[d]) sizes.push_back(shape[d]);
    if (mask[d] && keepdim) sizes.push_back(1);
  }
  return Shape(sizes);
}

AxisView along_dims(const Shape& shape, std::int64_t first, std::int64_t last) {
  std::array<std::uint64_t, 3> sizes{1, 1, 1};  // beside a size of 0 they may wrap around
  for (std::int64_t d = 0; d < shape.rank(); ++d)
    sizes[d < first ? 0 : d < last ? 1 : 2] *= static_cast<std::uint64_t>(shape[d]);
  const auto size = [&](std::size_t i) { return static_cast<std::int64_t>(sizes[i]); };
  return {size(0), size(1), size(2)};
}

AxisView along_dim(std::string_view operation, const Tensor& x, std::int64_t& dim) {
  check_defined(operation, x);
  dim = named_dim(operation, dim, x.rank());
  return along_dims(x.shape(), dim, dim + 1);
}

// Neighbouring dimensions are reduced together, runs of them one after the other.
Tensor reduce(std::string_view operation, Reduction reduction, const Tensor& x, const Dims& dims,
              bool keepdim) {
  check_defined(operation, x);
  const Mask mask = reduced(operation, x.shape(), dims);
  Tensor result = x;
  for (std::int64_t end = x.rank(); end > 0; --end) {
    if (!mask[end - 1]) continue;
    std::int64_t begin = end - 1;
    while (begin > 0 && mask[begin - 1]) --begin;
    const AxisView along = along_dims(result.shape(), begin, end);
    check(reduction == Reduction::sum || along.n > 0,
          "{}: shape {} has no elements to choose from along the dimensions asked for", operation,
          x.shape());
    Shape shape = result.shape();
    for (std::int64_t d = begin; d < end; ++d) shape.set(d, 1);
    if (along.n == 1) {
      result = result.reshape(shape);
    } else {
      Tensor out = Tensor::empty(shape, x.dtype(), x.device());
      use(operation, x.device(), kernels(x.device()).reduce)(reduction, result, along, out);
      result = out;
    }
    end = begin + 1;
  }
  if (result.shares_memory(x)) result = result.clone();
  return result.reshape(shape_of(x.shape(), mask, keepdim));
}

double count(const Tensor& x, const Tensor& reduced) {
  if (reduced.numel() > 0) return static_cast<double>(x.numel() / reduced.numel());
  return 1;
}

}  // namespace

Shape reduced_shape(std::string_view operation, const Shape& shape, const Dims& dims,
                    bool keepdim) {
  return shape_of(shape, reduced(operation, shape, dims), keepdim);
}

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("sum", Reduction::sum, x, dims, keepdim);
}

Tensor mean(const Tensor& x, const Dims& dims, bool keepdim) {
  check_floating("mean", x);
  const Tensor total = reduce("mean", Reduction::sum, x, dims, keepdim);
  return div(total, count(x, total));
}

Tensor var(const Tensor& x, const Dims& dims, bool unbiased, bool keepdim) {
  check_floating("var", x);
  const Tensor deviation = sub(x, mean(x, dims, true));
  const Tensor total = reduce("var", Reduction::sum, square(deviation), dims, keepdim);
  return div(total, std::max(0.0, count(x, total) - (unbiased ? 1 : 0)));
}

Tensor std(const Tensor& x, const Dims& dims, bool unbiased, bool keepdim) {
  return sqrt(var(x, dims, unbiased, keepdim));
}

Tensor amax(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("amax", Reduction::amax, x, dims, keepdim);
}

Tensor amin(const Tensor& x, const Dims& dims, bool keepdim) {
  return reduce("amin", Reduction::amin, x, dims, keepdim);
}

Tensor argmax(const Tensor& x, std::int64_t dim) {
  const AxisView along = along_dim("argmax", x, dim);
  check(along.n > 0, "argmax: shape {} has no elements to choose from along dimension {}",
        x.shape(), dim);
  const Shape shape = x.rank() == 0 ? x.shape() : x.shape().without(dim);
  Tensor out = Tensor::empty(shape, DType::int64, x.device());
  use("argmax", x.device(), kernels(x.device()).argmax)(x, along, out);
  return out;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  check_defined("sum_to", x);
  if (x.shape() == shape) return x;
  check(broadcast_shapes("sum_to", shape, x.shape()) == x.shape(),
        "sum_to: shape {} does not broadcast to {}", shape, x.shape());
  Dims dims;
  const std::int64_t ahead = x.rank() - shape.rank();
  for (std::int64_t d = 0; d < x.rank(); ++d)
    if (d < ahead || (shape[d - ahead] == 1 && x.size(d) != 1)) dims.push_back(d);
  return sum(x, dims, true).reshape(shape);
}

namespace {

Tensor scan(std::string_view operation, Scan kind, const Tensor& x, std::int64_t dim) {
  const AxisView along = along_dim(operation, x, dim);
  Tensor out = empty_like(x);
  use(operation, x.device(), kernels(x.device()).scan)(kind, x, along, out);
  return out;
}

Tensor softmax(std::string_view operation, bool logarithm, const Tensor& x, std::int64_t dim) {
  check_floating(operation, x);
  const AxisView along = along_dim(operation, x, dim);
  Tensor out = empty_like(x);
  use(operation, x.device(), kernels(x.device()).softmax)(logarithm, x, along, out);
  return out;
}

Tensor softmax_backward(std::string_view operation, bool logarithm, const Tensor& grad,
                        const Tensor& y, std::int64_t dim) {
  common_operands(operation, {&grad, &y});
  check_floating(operation, y);
  check_same_shape(operation, grad, y);
  const AxisView along = along_dim(operation, y, dim);
  Tensor out = empty_like(y);
  use(operation, y.device(), kernels(y.device()).softmax_backward)(logarithm, grad, y, along, out);
  return out;
}

}  // namespace

Tensor cumsum(const Tensor& x, std::int64_t dim) { return scan("cumsum", Scan::sum, x, dim); }

Tensor cumprod(const Tensor& x, std::int64_t dim) { return scan("cumprod", Scan::product, x, dim); }

Tensor cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, std::int64_t dim) {
  common_operands("cumprod_backward", {&grad, &x, &y});
  check_floating("cumprod_backward", x);
  check_same_shape("cumprod_backward", grad, x);
  check_same_shape("cumprod_backward", y, x);
  const AxisView along = along_dim("cumprod_backward", x, dim);
  Tensor out = empty_like(x);
  use("cumprod_backward", x.device(), kernels(x.device()).cumprod_backward)(grad, x, y, along, out);
  return out;
}

Tensor softmax(const Tensor& x, std::int64_t dim) { return softmax("softmax", false, x, dim); }

Tensor log_softmax(const Tensor& x, std::int64_t dim) {
  return softmax("log_softmax", true, x, dim);
}

Tensor softmax_backward(const Tensor& grad, const Tensor& y, std::int64_t dim) {
  return softmax_backward("softmax_backward", false, grad, y, dim);
}

Tensor log_softmax_backward(const Tensor& grad, const Tensor& y, std::int64_t dim) {
  return softmax_backward("log_softmax_backward", true, grad, y, dim);
}

Tensor sort(const Tensor& x, std::int64_t dim) {
  check_defined("sort", x);
  dim = named_dim("sort", dim, x.rank());
  if (x.rank() == 0) return x.clone();
  const std::int64_t last = x.rank() - 1;
  if (dim != last) return transpose(sort(transpose(x, dim, last), last), dim, last);
  Tensor out = empty_like(x);
  use("sort", x.device(), kernels(x.device()).sort)(x, along_dims(x.shape(), last, last + 1), out);
  return out;
}

Tensor argsort(const Tensor& x, std::int64_t dim) {
  check_defined("argsort", x);
  dim = named_dim("argsort", dim, x.rank());
  const std::int64_t last = x.rank() - 1;
  if (dim != last && last >= 0) return transpose(argsort(transpose(x, dim, last), last), dim, last);
  Tensor out = Tensor::zeros(x.shape(), DType::int64, x.device());
  if (x.rank() == 0) return out;
  use("argsort", x.device(), kernels(x.device()).argsort)(x, along_dims(x.shape(), last, last + 1),
                                                          out);
  return out;
}

Tensor quantile(const Tensor& x, double q, std::int64_t dim, bool keepdim) {
  check_floating("quantile", x);
  check(q >= 0 && q <= 1, "quantile: q is {}; it must be in [0, 1]", q);
  dim = named_dim("quantile", dim, x.rank());
  if (x.rank() == 0) return x.clone();
  const std::int64_t n = x.size(dim);
  check(n > 0, "quantile: shape {} has no elements to choose from along dimension {}", x.shape(),
        dim);
  const Tensor sorted = sort(x, dim);
  const double place = q * static_cast<double>(n - 1);
  const auto below = static_cast<std::int64_t>(place);
  const double weight = place - static_cast<double>(below);
  Tensor result = slice(sorted, dim, below, below + 1);
  if (weight > 0)
    result = axpby(1 - weight, result, weight, slice(sorted, dim, below + 1, below + 2));
  // Sorting puts a NaN last, and it makes every quantile one.
  const Tensor largest = slice(sorted, dim, n - 1, n);
  result = where(equal(largest, largest), result, largest);
  return keepdim ? result : result.reshape(result.shape().without(dim));
}

}  // namespace ebb
