#include <ebb/autograd/ops.h>
#include <ebb/autograd/rules.h>

namespace ebb {
namespace {

// What backward needs of the output: relu passes where it is positive.
Saved relu_output(std::string_view operation, Activation activation, const Tensor& y) {
  return Saved(operation, activation == Activation::relu ? y : Tensor());
}

// The cotangent before the fused activation, with the bias's gradient where it came along.
ReluGradients before_relu(Tensor grad, const Saved& y) {
  if (y.get().defined()) return conv_relu_backward(std::move(grad), y.get());
  return {std::move(grad), {}};
}

}  // namespace

Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias,
                const Conv2dOptions& options, Activation activation) {
  // silu's derivative needs its input, which the fused form does not keep.
  if (activation == Activation::silu && needs_graph({x, weight, bias}))
    return silu(conv2d(x, weight, bias, options));
  const Tensor y =
      conv2d(x.value(), weight.value(), detail::value_or_none(bias), options, activation);
  return Variable::record(
      "conv2d", y, {x, weight, bias},
      [options, x = Saved("conv2d", x.value()), weight = Saved("conv2d", weight.value()),
       y = relu_output("conv2d", activation, y)](Tensor grad,
                                                 const Needs& needs) -> std::vector<Tensor> {
        const ReluGradients dy = before_relu(std::move(grad), y);
        const Tensor& w = weight.get();
        std::vector<Tensor> result(3);
        if (needs[0])
          result[0] = conv2d_backward_data(dy.grad, w, x.get().size(1), x.get().size(2), options);
        result[2] = dy.bias;
        const bool with_bias = needs[2] && !dy.bias.defined();
        if (needs[1] || with_bias) {
          const Pair kernel{w.size(2), w.size(3)};
          ConvWeightGradients by =
              conv2d_backward_weights(dy.grad, x.get(), kernel, options, with_bias);
          result[1] = by.weight;
          if (with_bias) result[2] = by.bias;
        }
        return result;
      });
}

Variable conv_transpose2d(const Variable& x, const Variable& weight, const Variable& bias,
                          const Conv2dOptions& options, Activation activation) {
  if (activation == Activation::silu && needs_graph({x, weight, bias}))
    return silu(conv_transpose2d(x, weight, bias, options));
  const Tensor y =
      conv_transpose2d(x.value(), weight.value(), detail::value_or_none(bias), options, activation);
  return Variable::record("conv_transpose2d", y, {x, weight, bias},
                          [options, x = Saved("conv_transpose2d", x.value()),
                           weight = Saved("conv_transpose2d", weight.value()),
                           y = relu_output("conv_transpose2d", activation, y)](
                              Tensor grad, const Needs& needs) -> std::vector<Tensor> {
                            const ReluGradients dy = before_relu(std::move(grad), y);
                            const Tensor& w = weight.get();
                            std::vector<Tensor> result(3);
                            if (needs[0])
                              result[0] = conv_transpose2d_backward_data(dy.grad, w, options);
                            result[2] = dy.bias;
                            const bool with_bias = needs[2] && !dy.bias.defined();
                            if (needs[1] || with_bias) {
                              const Pair kernel{w.size(2), w.size(3)};
                              ConvWeightGradients by = conv_transpose2d_backward_weights(
                                  dy.grad, x.get(), kernel, options, with_bias);
                              result[1] = by.weight;
                              if (with_bias) result[2] = by.bias;
                            }
                            return result;
                          });
}

}  // namespace ebb
