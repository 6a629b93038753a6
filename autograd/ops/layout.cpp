#include <ebb/autograd/ops.h>

#include <algorithm>

namespace ebb {

Variable reshape(const Variable& x, const std::vector<std::int64_t>& sizes) {
  return Variable::record(
      "reshape", x.value().reshape(sizes), {x},
      [shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {grad.reshape(shape)};
      });
}

Variable permute(const Variable& x, const Dims& dims) {
  return Variable::record("permute", permute(x.value(), dims), {x},
                          [dims](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            const std::int64_t rank = grad.rank();
                            Dims inverse(dims.size());
                            for (std::int64_t i = 0; i < rank; ++i)
                              inverse[normalize_dim("permute", dims[i], rank)] = i;
                            return {permute(grad, inverse)};
                          });
}

Variable transpose(const Variable& x, std::int64_t a, std::int64_t b) {
  return Variable::record("transpose", transpose(x.value(), a, b), {x},
                          [a, b](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {transpose(grad, a, b)};
                          });
}

Variable broadcast_to(const Variable& x, const Shape& shape) {
  return Variable::record(
      "broadcast_to", broadcast_to(x.value(), shape), {x},
      [](const Tensor& grad, const Needs&) -> std::vector<Tensor> { return {grad}; });
}

Variable cat(const std::vector<Variable>& xs, std::int64_t dim) {
  std::vector<Tensor> values;
  std::vector<std::int64_t> sizes;
  for (const Variable& x : xs) values.push_back(x.value());
  const Tensor y = cat(values, dim);
  for (const Tensor& value : values) sizes.push_back(value.size(dim));
  return Variable::record(
      "cat", y, xs, [sizes, dim](const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
        std::vector<Tensor> result(sizes.size());
        std::int64_t start = 0;
        for (std::size_t i = 0; i < sizes.size(); start += sizes[i++])
          if (needs[i]) result[i] = slice(grad, dim, start, start + sizes[i]);
        return result;
      });
}

Variable stack(const std::vector<Variable>& xs, std::int64_t dim) {
  std::vector<Tensor> values;
  for (const Variable& x : xs) values.push_back(x.value());
  return Variable::record("stack", stack(values, dim), xs,
                          [dim](const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            std::vector<Tensor> result(needs.size());
                            for (std::size_t i = 0; i < needs.size(); ++i)
                              if (needs[i]) result[i] = select(grad, dim, std::int64_t(i));
                            return result;
                          });
}

Variable slice(const Variable& x, std::int64_t dim, std::int64_t start, std::int64_t stop,
               std::int64_t step) {
  return Variable::record(
      "slice", slice(x.value(), dim, start, stop, step), {x},
      [=, shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {slice_backward(grad, shape, dim, start, stop, step)};
      });
}

Variable flip(const Variable& x, const Dims& dims) {
  return Variable::record("flip", flip(x.value(), dims), {x},
                          [dims](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {flip(grad, dims)};
                          });
}

Variable pad(const Variable& x, const std::vector<std::int64_t>& widths, double value) {
  return Variable::record("pad", pad(x.value(), widths, value), {x},
                          [widths](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            std::vector<std::int64_t> crop = widths;
                            for (std::int64_t& width : crop) width = -width;
                            return {pad(grad, crop)};
                          });
}

Variable gather(const Variable& x, std::int64_t dim, const Tensor& index) {
  return Variable::record("gather", gather(x.value(), dim, index), {x},
                          [dim, shape = x.shape(), index = Saved("gather", index)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {gather_backward(grad, shape, dim, index.get())};
                          });
}

Variable index_select(const Variable& x, std::int64_t dim, const Tensor& index) {
  return Variable::record("index_select", index_select(x.value(), dim, index), {x},
                          [dim, shape = x.shape(), index = Saved("index_select", index)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {index_select_backward(grad, shape, dim, index.get())};
                          });
}

Variable embedding(const Variable& weight, const Tensor& index) {
  check(weight.rank() == 2, "embedding: weight {} must be (count, width)", weight.shape());
  check_index("embedding", index, weight.size(0));
  const Shape shape = index.shape().with(index.rank(), weight.size(1));
  return reshape(index_select(weight, 0, index.reshape({index.numel()})), shape.vector());
}

Variable select(const Variable& x, std::int64_t dim, std::int64_t index) {
  const Tensor y = select(x.value(), dim, index);
  const std::int64_t at = index < 0 ? index + x.size(dim) : index;
  return reshape(slice(x, dim, at, at + 1), y.shape().vector());
}

Variable squeeze(const Variable& x, std::int64_t dim) {
  return reshape(x, squeeze(x.value(), dim).shape().vector());
}

Variable unsqueeze(const Variable& x, std::int64_t dim) {
  return reshape(x, unsqueeze(x.value(), dim).shape().vector());
}

Variable Variable::reshape(const std::vector<std::int64_t>& sizes) const {
  return ebb::reshape(*this, sizes);
}
Variable Variable::select(std::int64_t dim, std::int64_t index) const {
  return ebb::select(*this, dim, index);
}
Variable Variable::slice(std::int64_t dim, std::int64_t start, std::int64_t stop,
                         std::int64_t step) const {
  return ebb::slice(*this, dim, start, stop, step);
}
Variable Variable::permute(const std::vector<std::int64_t>& dims) const {
  return ebb::permute(*this, dims);
}
Variable Variable::transpose(std::int64_t a, std::int64_t b) const {
  return ebb::transpose(*this, a, b);
}
Variable Variable::squeeze(std::int64_t dim) const { return ebb::squeeze(*this, dim); }
Variable Variable::unsqueeze(std::int64_t dim) const { return ebb::unsqueeze(*this, dim); }

}  // namespace ebb
