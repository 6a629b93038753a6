#include <ebb/autograd/ops.h>

namespace ebb {

Variable unary(Unary function, const Variable& x, double a, double b) {
  const Tensor y = unary(function, x.value(), a, b);
  return Variable::record(
      name_of(function), y, {x},
      [=, x = Saved(name_of(function), x.value()), y = Saved(name_of(function), y)](
          const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {unary_backward(function, grad, x.get(), y.get(), a, b)};
      });
}

#define EBB_DEFINE(name, value, gradient) \
  Variable name(const Variable& x) { return unary(Unary::name, x); }
EBB_PLAIN_LIST(EBB_DEFINE)
#undef EBB_DEFINE
Variable leaky_relu(const Variable& x, double slope) { return unary(Unary::leaky_relu, x, slope); }
Variable pow(const Variable& x, double exponent) { return unary(Unary::pow, x, exponent); }
Variable clamp(const Variable& x, double low, double high) {
  return unary(Unary::clamp, x, low, high);
}

Variable add(const Variable& a, const Variable& b) {
  return Variable::record("add", add(a.value(), b.value()), {a, b},
                          [](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {grad, grad};
                          });
}

Variable sub(const Variable& a, const Variable& b) {
  return Variable::record("sub", sub(a.value(), b.value()), {a, b},
                          [](const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {grad, needs[1] ? neg(grad) : Tensor()};
                          });
}

Variable mul(const Variable& a, const Variable& b) {
  // Each factor is kept for the other's gradient alone.
  const Tensor for_b = b.requires_grad() ? a.value() : Tensor();
  const Tensor for_a = a.requires_grad() ? b.value() : Tensor();
  return Variable::record(
      "mul", mul(a.value(), b.value()), {a, b},
      [for_b = Saved("mul", for_b), for_a = Saved("mul", for_a)](
          const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
        return {needs[0] ? grad * for_a.get() : Tensor(), needs[1] ? grad * for_b.get() : Tensor()};
      });
}

Variable div(const Variable& a, const Variable& b) {
  const Tensor y = div(a.value(), b.value());
  return Variable::record("div", y, {a, b},
                          [b = Saved("div", b.value()), y = Saved("div", y)](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {needs[0] ? grad / b.get() : Tensor(),
                                    needs[1] ? neg(grad * (y.get() / b.get())) : Tensor()};
                          });
}

namespace {

// The part of `grad` that goes to `high` where the larger of two values was taken; all of it beside
// a NaN, as in PyTorch.
Tensor larger_share(const Tensor& grad, const Tensor& high, const Tensor& low) {
  const Tensor zero = Tensor::scalar(0, grad.dtype(), grad.device());
  return where(less(high, low), zero, where(equal(low, high), grad * 0.5, grad));
}

}  // namespace

Variable maximum(const Variable& a, const Variable& b) {
  return Variable::record("maximum", maximum(a.value(), b.value()), {a, b},
                          [a = Saved("maximum", a.value()), b = Saved("maximum", b.value())](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {needs[0] ? larger_share(grad, a.get(), b.get()) : Tensor(),
                                    needs[1] ? larger_share(grad, b.get(), a.get()) : Tensor()};
                          });
}

Variable minimum(const Variable& a, const Variable& b) {
  return Variable::record("minimum", minimum(a.value(), b.value()), {a, b},
                          [a = Saved("minimum", a.value()), b = Saved("minimum", b.value())](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {needs[0] ? larger_share(grad, b.get(), a.get()) : Tensor(),
                                    needs[1] ? larger_share(grad, a.get(), b.get()) : Tensor()};
                          });
}

Variable add(const Variable& a, double b) {
  return Variable::record(
      "add", add(a.value(), b), {a},
      [](const Tensor& grad, const Needs&) -> std::vector<Tensor> { return {grad}; });
}

Variable mul(const Variable& a, double b) {
  return Variable::record(
      "mul", mul(a.value(), b), {a},
      [b](const Tensor& grad, const Needs&) -> std::vector<Tensor> { return {mul(grad, b)}; });
}

Variable where(const Tensor& condition, const Variable& a, const Variable& b) {
  return Variable::record("where", where(condition, a.value(), b.value()), {a, b},
                          [condition = Saved("where", condition)](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            const Tensor zero = Tensor::scalar(0, grad.dtype(), grad.device());
                            return {needs[0] ? where(condition.get(), grad, zero) : Tensor(),
                                    needs[1] ? where(condition.get(), zero, grad) : Tensor()};
                          });
}

}  // namespace ebb
