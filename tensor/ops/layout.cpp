#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>

namespace ebb {

namespace {

View contiguous(const Shape& shape) { return {0, shape.strides()}; }

void copy_view(std::string_view operation, const Tensor& x, const View& from, Tensor& out,
               const View& to, const Shape& walk) {
  if (walk.numel() == 0) return;  // beside a size of 0 a view's strides may have wrapped around
  use(operation, x.device(), kernels(x.device()).copy_view)(x, from, out, to, walk);
}

// A new tensor of `shape` read from x through `from`.
Tensor read(std::string_view operation, const Tensor& x, const View& from, const Shape& shape) {
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  copy_view(operation, x, from, out, contiguous(shape), shape);
  return out;
}

}  // namespace

Tensor permute(const Tensor& x, const Dims& dims) {
  check_defined("permute", x);
  const auto rank = static_cast<std::size_t>(x.rank());
  std::array<bool, Shape::max_rank> seen{};
  bool valid = dims.size() == rank;
  std::vector<std::int64_t> sizes;
  View from;
  for (std::size_t d = 0; valid && d < rank; ++d) {
    const std::int64_t source = normalize_dim("permute", dims[d], x.rank());
    valid = !seen[source];
    if (!valid) break;
    seen[source] = true;
    sizes.push_back(x.size(source));
    from.strides[d] = x.shape().strides()[source];
  }
  check(valid, "permute: ({}) is no permutation of the dimensions of shape {}",
        fmt::join(dims, ", "), x.shape());
  return read("permute", x, from, Shape(sizes));
}

Tensor transpose(const Tensor& x, std::int64_t a, std::int64_t b) {
  check_defined("transpose", x);
  if (x.rank() == 0) {
    for (const std::int64_t dim : {a, b}) normalize_dim("transpose", dim, 1);  // as PyTorch has it
    return x.clone();
  }
  Dims dims;
  for (std::int64_t d = 0; d < x.rank(); ++d) dims.push_back(d);
  std::swap(dims[normalize_dim("transpose", a, x.rank())],
            dims[normalize_dim("transpose", b, x.rank())]);
  return permute(x, dims);
}

Tensor nchw_to_nhwc(const Tensor& x) { return permute(x, {0, 2, 3, 1}); }
Tensor nhwc_to_nchw(const Tensor& x) { return permute(x, {0, 3, 1, 2}); }

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  check_defined("broadcast_to", x);
  check(broadcast_shapes("broadcast_to", x.shape(), shape) == shape,
        "broadcast_to: shape {} does not broadcast to {}", x.shape(), shape);
  View from;
  const std::int64_t ahead = shape.rank() - x.rank();
  for (std::int64_t d = 0; d < x.rank(); ++d)
    from.strides[ahead + d] = x.size(d) == 1 ? 0 : x.shape().strides()[d];
  return read("broadcast_to", x, from, shape);
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t dim) {
  check_defined("repeat_interleave", x);
  check(repeats >= 0, "repeat_interleave: {} repeats; they must not be negative", repeats);
  dim = normalize_dim("repeat_interleave", dim, x.rank());
  Shape shape = x.shape();
  check(repeats == 0 || shape[dim] <= Shape::max_numel / repeats,
        "repeat_interleave: {} repeats of size {} are more than memory can address", repeats,
        shape[dim]);
  shape.set(dim, shape[dim] * repeats);
  AxisView parts{1, x.size(dim), 1};
  for (std::int64_t d = 0; d < x.rank(); ++d)
    if (d != dim) (d < dim ? parts.outer : parts.inner) *= x.size(d);
  return broadcast_to(x.reshape(Shape{parts.outer, parts.n, 1, parts.inner}),
                      {parts.outer, parts.n, repeats, parts.inner})
      .reshape(shape);
}

Tensor cat(const std::vector<Tensor>& xs, std::int64_t dim) {
  check(!xs.empty(), "cat: no tensors given; give at least one");
  const Tensor& first = xs[0];
  check_defined("cat", first);
  dim = normalize_dim("cat", dim, first.rank());
  Shape shape = first.shape();
  std::int64_t total = 0;
  for (const Tensor& x : xs) {
    common_operands("cat", {&first, &x});
    Shape expected = first.shape();
    if (x.rank() == first.rank()) expected.set(dim, x.size(dim));
    check(x.shape() == expected, "cat: shapes {} and {} differ beyond dimension {}", first.shape(),
          x.shape(), dim);
    total += x.size(dim);
  }
  shape.set(dim, total);
  Tensor out = Tensor::empty(shape, first.dtype(), first.device());
  View to = contiguous(shape);
  for (const Tensor& x : xs) {
    copy_view("cat", x, contiguous(x.shape()), out, to, x.shape());
    to.offset += x.size(dim) * to.strides[dim];
  }
  return out;
}

Tensor stack(const std::vector<Tensor>& xs, std::int64_t dim) {
  check(!xs.empty(), "stack: no tensors given; give at least one");
  check_defined("stack", xs[0]);
  dim = normalize_dim("stack", dim, xs[0].rank() + 1);
  std::vector<Tensor> parts;
  for (const Tensor& x : xs) {
    common_operands("stack", {&xs[0], &x});
    check_same_shape("stack", xs[0], x);
    parts.push_back(x.reshape(x.shape().with(dim, 1)));
  }
  return cat(parts, dim);
}

namespace {

// A slice as the shape it leaves and where its elements are.
struct Slice {
  Shape shape;
  View view;
};

Slice slice_of(const Shape& shape, std::int64_t dim, std::int64_t start, std::int64_t stop,
               std::int64_t step) {
  check(step >= 1, "slice: step {}; it must be 1 or more", step);
  dim = normalize_dim("slice", dim, shape.rank());
  const std::int64_t n = shape[dim];
  const auto clamped = [n](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + n : at, 0, n);
  };
  start = clamped(start);
  stop = std::max(start, clamped(stop));
  Slice result{shape, contiguous(shape)};
  result.shape.set(dim, stop == start ? 0 : (stop - start - 1) / step + 1);
  result.view.offset = start * result.view.strides[dim];
  if (result.shape[dim] > 1) result.view.strides[dim] *= step;
  return result;
}

}  // namespace

Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t stop,
             std::int64_t step) {
  check_defined("slice", x);
  const Slice part = slice_of(x.shape(), dim, start, stop, step);
  return read("slice", x, part.view, part.shape);
}

Tensor slice_backward(const Tensor& grad, const Shape& shape, std::int64_t dim, std::int64_t start,
                      std::int64_t stop, std::int64_t step) {
  check_defined("slice_backward", grad);
  const Slice part = slice_of(shape, dim, start, stop, step);
  check(part.shape == grad.shape(), "slice_backward: the slice has shape {}, its gradient {}",
        part.shape, grad.shape());
  Tensor out = zeros(shape, grad);
  copy_view("slice_backward", grad, contiguous(grad.shape()), out, part.view, grad.shape());
  return out;
}

Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index) {
  check_defined("select", x);
  dim = normalize_dim("select", dim, x.rank());
  const std::int64_t n = x.size(dim), at = index < 0 ? index + n : index;
  check(at >= 0 && at < n, "select: index {} is out of range for dimension {} of shape {}", index,
        dim, x.shape());
  return slice(x, dim, at, at + 1).reshape(x.shape().without(dim));
}

Tensor squeeze(const Tensor& x, std::int64_t dim) {
  check_defined("squeeze", x);
  dim = normalize_dim("squeeze", dim, x.rank());
  return x.size(dim) == 1 ? x.reshape(x.shape().without(dim)) : x;
}

Tensor unsqueeze(const Tensor& x, std::int64_t dim) {
  check_defined("unsqueeze", x);
  return x.reshape(x.shape().with(normalize_dim("unsqueeze", dim, x.rank() + 1), 1));
}

Tensor Tensor::select(std::int64_t dim, std::int64_t index) const {
  return ebb::select(*this, dim, index);
}
Tensor Tensor::slice(std::int64_t dim, std::int64_t start, std::int64_t stop,
                     std::int64_t step) const {
  return ebb::slice(*this, dim, start, stop, step);
}
Tensor Tensor::permute(const std::vector<std::int64_t>& dims) const {
  return ebb::permute(*this, dims);
}
Tensor Tensor::transpose(std::int64_t a, std::int64_t b) const {
  return ebb::transpose(*this, a, b);
}
Tensor Tensor::squeeze(std::int64_t dim) const { return ebb::squeeze(*this, dim); }
Tensor Tensor::unsqueeze(std::int64_t dim) const { return ebb::unsqueeze(*this, dim); }

Tensor flip(const Tensor& x, const Dims& dims) {
  check_defined("flip", x);
  if (dims.empty()) return x.clone();
  reduced_shape("flip", x.shape(), dims, true);  // checks dims
  if (x.numel() == 0 || x.rank() == 0) return x.clone();
  View from = contiguous(x.shape());
  for (const std::int64_t named : dims) {
    const std::int64_t d = normalize_dim("flip", named, x.rank());
    from.offset += (x.size(d) - 1) * from.strides[d];
    from.strides[d] = -from.strides[d];
  }
  return read("flip", x, from, x.shape());
}

Tensor pad(const Tensor& x, const std::vector<std::int64_t>& widths, double value) {
  check_defined("pad", x);
  const auto given = static_cast<std::int64_t>(widths.size());
  check(given % 2 == 0 && given / 2 <= x.rank(),
        "pad: {} widths for shape {}; give two for each dimension, the last one first", given,
        x.shape());
  Shape shape = x.shape(), kept = x.shape();
  std::array<std::int64_t, Shape::max_rank> skip{}, ahead{};
  for (std::int64_t i = 0; i < given / 2; ++i) {
    const std::int64_t d = x.rank() - 1 - i, before = widths[2 * i], after = widths[2 * i + 1];
    for (const std::int64_t size : {before, after, x.size(d)})
      check(size >= -Shape::max_numel && size <= Shape::max_numel,
            "pad: width {} is beyond what memory can address", size);
    check(x.size(d) + before + after >= 0, "pad: widths {} and {} crop more than size {}", before,
          after, x.size(d));
    shape.set(d, x.size(d) + before + after);
    const std::int64_t cropped = std::max<std::int64_t>(-before, 0);
    kept.set(d, std::max<std::int64_t>(0, std::min(x.size(d), x.size(d) + after) - cropped));
    skip[d] = cropped;
    ahead[d] = std::max<std::int64_t>(before, 0);
  }
  Tensor out = Tensor::full(shape, value, x.dtype(), x.device());
  View from = contiguous(x.shape()), to = contiguous(shape);
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    from.offset += skip[d] * from.strides[d];
    to.offset += ahead[d] * to.strides[d];
  }
  copy_view("pad", x, from, out, to, kept);
  return out;
}

}  // namespace ebb
