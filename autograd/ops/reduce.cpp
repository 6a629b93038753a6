#include <ebb/autograd/ops.h>

namespace ebb {
namespace {

// The shape of x reduced over `dims` with the reduced dimensions kept as 1.
Shape kept_shape(const Shape& x, const Dims& dims) {
  Shape result = x;
  for (const std::int64_t dim : dims) result.set(dim, 1);
  for (std::int64_t dim = 0; dims.empty() && dim < x.rank(); ++dim) result.set(dim, 1);
  return result;
}

// How many elements go into each result.
double count(const Shape& x, const Shape& kept) {
  double result = 1;
  for (std::int64_t dim = 0; dim < x.rank(); ++dim)
    if (kept[dim] != x[dim]) result *= static_cast<double>(x[dim]);
  return result;
}

// The part of `grad` that goes to each element of x equal to the result `y`: ties share.
Tensor extreme_share(const Tensor& grad, const Tensor& x, const Tensor& y, const Dims& dims) {
  const Shape kept = kept_shape(x.shape(), dims);
  const Tensor chosen = equal(x, y.reshape(kept));
  return chosen * (grad.reshape(kept) / sum(chosen, dims, true));
}

}  // namespace

Variable sum(const Variable& x, const Dims& dims, bool keepdim) {
  return Variable::record(
      "sum", sum(x.value(), dims, keepdim), {x},
      [dims, shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {broadcast_to(grad.reshape(kept_shape(shape, dims)), shape)};
      });
}

Variable mean(const Variable& x, const Dims& dims, bool keepdim) {
  return Variable::record(
      "mean", mean(x.value(), dims, keepdim), {x},
      [dims, shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        const Shape kept = kept_shape(shape, dims);
        return {broadcast_to(grad.reshape(kept) / count(shape, kept), shape)};
      });
}

Variable var(const Variable& x, const Dims& dims, bool unbiased, bool keepdim) {
  return Variable::record(
      "var", var(x.value(), dims, unbiased, keepdim), {x},
      [dims, unbiased, x = Saved("var", x.value())](const Tensor& grad,
                                                    const Needs&) -> std::vector<Tensor> {
        const Shape kept = kept_shape(x.get().shape(), dims);
        const double n = count(x.get().shape(), kept) - unbiased;
        return {(x.get() - mean(x.get(), dims, true)) * (grad.reshape(kept) * (2 / n))};
      });
}

Variable std(const Variable& x, const Dims& dims, bool unbiased, bool keepdim) {
  const Tensor y = std(x.value(), dims, unbiased, keepdim);
  return Variable::record("std", y, {x},
                          [dims, unbiased, x = Saved("std", x.value()), y = Saved("std", y)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            const Shape kept = kept_shape(x.get().shape(), dims);
                            const double n = count(x.get().shape(), kept) - unbiased;
                            // No direction is better than another where all elements are equal:
                            // zero, as PyTorch.
                            const Tensor scale = where(y.get(), grad / (y.get() * n), 0);
                            return {(x.get() - mean(x.get(), dims, true)) * scale.reshape(kept)};
                          });
}

Variable amax(const Variable& x, const Dims& dims, bool keepdim) {
  const Tensor y = amax(x.value(), dims, keepdim);
  return Variable::record("amax", y, {x},
                          [dims, x = Saved("amax", x.value()), y = Saved("amax", y)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {extreme_share(grad, x.get(), y.get(), dims)};
                          });
}

Variable amin(const Variable& x, const Dims& dims, bool keepdim) {
  const Tensor y = amin(x.value(), dims, keepdim);
  return Variable::record("amin", y, {x},
                          [dims, x = Saved("amin", x.value()), y = Saved("amin", y)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {extreme_share(grad, x.get(), y.get(), dims)};
                          });
}

Variable cumsum(const Variable& x, std::int64_t dim) {
  return Variable::record("cumsum", cumsum(x.value(), dim), {x},
                          [dim](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {flip(cumsum(flip(grad, {dim}), dim), {dim})};
                          });
}

Variable cumprod(const Variable& x, std::int64_t dim) {
  const Tensor y = cumprod(x.value(), dim);
  return Variable::record("cumprod", y, {x},
                          [dim, x = Saved("cumprod", x.value()), y = Saved("cumprod", y)](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {cumprod_backward(grad, x.get(), y.get(), dim)};
                          });
}

Variable softmax(const Variable& x, std::int64_t dim) {
  const Tensor y = softmax(x.value(), dim);
  return Variable::record(
      "softmax", y, {x},
      [dim, y = Saved("softmax", y)](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {softmax_backward(grad, y.get(), dim)};
      });
}

Variable log_softmax(const Variable& x, std::int64_t dim) {
  const Tensor y = log_softmax(x.value(), dim);
  return Variable::record(
      "log_softmax", y, {x},
      [dim, y = Saved("log_softmax", y)](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {log_softmax_backward(grad, y.get(), dim)};
      });
}

Variable logsumexp(const Variable& x, std::int64_t dim, bool keepdim) {
  const Tensor largest = amax(x.value(), {dim}, true);
  // A shift by an infinity would leave nothing.
  const Tensor shift = where(equal(largest - largest, 0), largest, 0);
  const Variable y = log(sum(exp(x - shift), {dim}, true)) + shift;
  return keepdim ? y : squeeze(y, dim);
}

}  // namespace ebb
