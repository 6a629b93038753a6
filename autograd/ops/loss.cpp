#include <ebb/autograd/ops.h>

namespace ebb {
namespace {

// Broadcasting (N) against (N, 1) would pair every row with every other and still give a number.
void check_same_shape(std::string_view operation, const Variable& input, const Variable& target) {
  check(input.shape() == target.shape(), "{}: input {} and target {} differ; reshape one of them",
        operation, input.shape(), target.shape());
}

}  // namespace

Variable mse_loss(const Variable& input, const Variable& target) {
  check_same_shape("mse_loss", input, target);
  return Variable::record(
      "mse_loss", mean(square(input.value() - target.value())), {input, target},
      [input = Saved("mse_loss", input.value()), target = Saved("mse_loss", target.value())](
          const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
        const Tensor scale = grad * (2 / static_cast<double>(input.get().numel()));
        return {needs[0] ? (input.get() - target.get()) * scale : Tensor(),
                needs[1] ? (target.get() - input.get()) * scale : Tensor()};
      });
}

Variable l1_loss(const Variable& input, const Variable& target) {
  check_same_shape("l1_loss", input, target);
  return mean(abs(input - target));
}

Variable huber_loss(const Variable& input, const Variable& target, double delta) {
  check_same_shape("huber_loss", input, target);
  check(delta > 0, "huber_loss: delta {} must be positive", delta);
  // With c = min(|d|, delta): c^2 / 2 + delta (|d| - c).
  const Tensor d = input.value() - target.value(), c = clamp(abs(d), 0, delta);
  return Variable::record(
      "huber_loss", mean(square(c) * 0.5 + (abs(d) - c) * delta), {input, target},
      [d = Saved("huber_loss", d), delta](const Tensor& grad,
                                          const Needs& needs) -> std::vector<Tensor> {
        const Tensor scale = grad / static_cast<double>(d.get().numel());
        const Tensor by_input = clamp(d.get(), -delta, delta) * scale;
        return {needs[0] ? by_input : Tensor(), needs[1] ? neg(by_input) : Tensor()};
      });
}

Variable cross_entropy(const Variable& input, const Tensor& target) {
  check(input.rank() == 2 && target.shape() == Shape{input.size(0)},
        "cross_entropy: input {} must be (N, classes) and target {} (N)", input.shape(),
        target.shape());
  check_index("cross_entropy", target, input.size(1));
  const Tensor column = target.reshape({target.numel(), 1});
  return neg(mean(gather(log_softmax(input, 1), 1, column)));
}

Variable binary_cross_entropy_with_logits(const Variable& input, const Variable& target) {
  check_same_shape("binary_cross_entropy_with_logits", input, target);
  // -t log s(x) - (1 - t) log(1 - s(x)) = (1 - t) x + log(1 + e^-x), PyTorch's form.
  const Tensor x = input.value(), t = target.value();
  return Variable::record("binary_cross_entropy_with_logits", mean((1 - t) * x + softplus(neg(x))),
                          {input, target},
                          [x = Saved("binary_cross_entropy_with_logits", x),
                           t = Saved("binary_cross_entropy_with_logits", t)](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            const Tensor scale = grad / static_cast<double>(x.get().numel());
                            return {needs[0] ? (sigmoid(x.get()) - t.get()) * scale : Tensor(),
                                    needs[1] ? x.get() * neg(scale) : Tensor()};
                          });
}

}  // namespace ebb
