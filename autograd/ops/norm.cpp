#include <ebb/autograd/ops.h>
#include <ebb/autograd/rules.h>

namespace ebb {

using detail::value_or_none;

Variable group_norm(const Variable& x, std::int64_t groups, const Variable& weight,
                    const Variable& bias, double eps, bool silu) {
  const Tensor w = value_or_none(weight), b = value_or_none(bias);
  const Normalized n = group_norm(x.value(), groups, w, b, eps, silu);
  return Variable::record("group_norm", n.y, {x, weight, bias},
                          [=, x = Saved("group_norm", x.value()), w = Saved("group_norm", w),
                           b = Saved("group_norm", b), mean = n.mean,
                           rstd = n.rstd](Tensor grad, const Needs&) -> std::vector<Tensor> {
                            NormGradients by =
                                group_norm_backward(std::move(grad), x.get(), groups, w.get(),
                                                    b.get(), mean, rstd, silu);
                            return {by.x, by.weight, by.bias};
                          });
}

Variable layer_norm(const Variable& x, const Shape& shape, const Variable& weight,
                    const Variable& bias, double eps) {
  const Tensor w = value_or_none(weight);
  const Normalized n = layer_norm(x.value(), shape, w, value_or_none(bias), eps);
  return Variable::record(
      "layer_norm", n.y, {x, weight, bias},
      [shape, x = Saved("layer_norm", x.value()), w = Saved("layer_norm", w), mean = n.mean,
       rstd = n.rstd](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        NormGradients by = layer_norm_backward(grad, x.get(), shape, w.get(), mean, rstd);
        return {by.x, by.weight, by.bias};
      });
}

Variable batch_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps,
                    BatchStatistics* statistics) {
  const Tensor w = value_or_none(weight);
  const Normalized n = batch_norm(x.value(), w, value_or_none(bias), eps);
  if (statistics) *statistics = {n.mean, reciprocal(square(n.rstd)) - eps};
  return Variable::record(
      "batch_norm", n.y, {x, weight, bias},
      [x = Saved("batch_norm", x.value()), w = Saved("batch_norm", w), mean = n.mean,
       rstd = n.rstd](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        NormGradients by = batch_norm_backward(grad, x.get(), w.get(), mean, rstd);
        return {by.x, by.weight, by.bias};
      });
}

Variable dropout(const Variable& x, const Tensor& keep, double p) {
  check(p >= 0 && p <= 1, "dropout: probability {} is not in [0, 1]", p);
  return mul(x, Variable(keep.to(x.dtype()) * (p < 1 ? 1 / (1 - p) : 0)));
}

}  // namespace ebb
