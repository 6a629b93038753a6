#include <ebb/autograd/ops.h>
#include <ebb/autograd/rules.h>

#include <algorithm>

namespace ebb {
namespace {

// x (..., m, n) repeated to the batch dimensions of `like` (..., ., .).
Tensor with_batch_of(const Tensor& x, const Tensor& like) {
  Shape shape = like.shape();
  shape.set(-2, x.size(-2));
  shape.set(-1, x.size(-1));
  return shape == x.shape() ? x : broadcast_to(x, shape);
}

Variable reshape_to(const Variable& x, const Shape& shape) { return reshape(x, shape.vector()); }

}  // namespace

Variable matmul(const Variable& a, const Variable& b) {
  if (b.rank() == 1) {
    const Variable y = matmul(a, reshape(b, {b.size(0), 1}));
    return reshape_to(y, y.shape().without(-1));
  }
  if (a.rank() == 1) {
    const Variable y = matmul(reshape(a, {1, a.size(0)}), b);
    return reshape_to(y, y.shape().without(-2));
  }
  // Not a batch of products with one right side, whose gradients would have to be summed.
  if (a.rank() > 2 && b.rank() == 2 && a.size(-1) > 0) {
    Shape shape = a.shape();
    shape.set(-1, b.size(1));
    return reshape_to(matmul(reshape(a, {a.shape().without(-1).numel(), a.size(-1)}), b), shape);
  }
  return Variable::record("matmul", matmul(a.value(), b.value()), {a, b},
                          [a = Saved("matmul", a.value()), b = Saved("matmul", b.value())](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            // y = a b: da = dy b^T, db = a^T dy.
                            std::vector<Tensor> result(2);
                            if (needs[0])
                              result[0] = bmm(grad, with_batch_of(b.get(), grad), false, true);
                            if (needs[1])
                              result[1] = bmm(with_batch_of(a.get(), grad), grad, true, false);
                            return result;
                          });
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  return Variable::record(
      "linear", linear(x.value(), weight.value(), detail::value_or_none(bias)), {x, weight, bias},
      [x = Saved("linear", x.value()), weight = Saved("linear", weight.value())](
          const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
        // y = x W^T + b over rows: dx = dy W, dW = dy^T x, db = the sum of dy's rows.
        const Tensor& w = weight.get();
        const std::int64_t rows = x.get().shape().without(-1).numel();
        const Tensor dy = grad.reshape({rows, w.size(0)});
        std::vector<Tensor> result(3);
        if (needs[0]) result[0] = bmm(dy, w).reshape(x.get().shape());
        if (needs[1]) result[1] = bmm(dy, x.get().reshape({rows, w.size(1)}), true, false);
        if (needs[2]) result[2] = sum(dy, {0});
        return result;
      });
}

}  // namespace ebb
