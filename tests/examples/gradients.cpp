// Gradients beyond backward(): by chosen inputs, watched on their way, with less memory.
#include <ebb/ebb.h>

#include <cmath>

using namespace ebb;

int main() {
  PhiloxGenerator random(1);
  std::vector<Linear> layers;
  for (int i = 0; i < 8; ++i) layers.emplace_back(Linear::Options{.in = 16, .out = 16}, random);
  const Variable x(philox_normal({4, 16}, {.seed = 2}), true);

  // The gradient by the input alone; the weights' are not computed.
  const auto network = [&](Variable h) {
    for (const Linear& layer : layers) h = tanh(layer(h));
    return mean(square(h));
  };
  const Tensor by_input = grad({network(x)}, {x})[0];
  fmt::print("d loss / d x, first row:\n{}\n", by_input.select(0, 0).slice(0, 0, 4));

  // What passes through: do the gradients vanish on their way down?
  {
    const BackwardObserver observer(
        [](std::string_view operation, const Tensor& cotangent, const std::vector<Tensor>&) {
          if (operation == "linear")
            fmt::print("{} {:.2e}\n", operation, std::sqrt(mean(square(cotangent)).item()));
        });
    network(x).backward();
  }

  // The same with each layer computed again in backward instead of kept.
  const Tensor plain = layers[0].weight.grad().clone();
  for (Linear& layer : layers) zero_grad(layer);
  Variable h = x;
  for (const Linear& layer : layers)
    h = checkpoint([&](const std::vector<Variable>& in) { return tanh(layer(in[0])); }, {h});
  mean(square(h)).backward();
  const bool same = relative_error(layers[0].weight.grad(), plain) == 0;
  fmt::print("recomputed: {}\n", same ? "the same gradient" : "another gradient");
  return same && relative_error(x.grad(), by_input * 2.0) < 1e-6 ? 0 : 1;
}
