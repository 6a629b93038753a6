// A classifier of small pictures: layers in a row, a loss, an optimizer, an accuracy.
#include <ebb/ebb.h>

using namespace ebb;

// Pictures with a bright bar, upright (class 0) or lying (class 1), in noise.
Batch bars(std::int64_t count, std::uint64_t seed) {
  Tensor images = philox_normal({count, 12, 12, 1}, {seed}) * 0.3;
  const Tensor labels = philox_integers({count}, 0, 2, {seed, Purpose::data_order});
  const Tensor places = philox_integers({count}, 0, 12, {seed, Purpose::augmentation});
  const Tensor bar = one_hot(places, 12);  // (count, 12)
  const Tensor upright = bar.reshape({count, 1, 12, 1}), lying = bar.reshape({count, 12, 1, 1});
  images += where(equal(labels, 0).reshape({count, 1, 1, 1}), upright, lying);
  return {images, labels};
}

int main() {
  PhiloxGenerator random(1);
  Sequential net{Conv2d({.in = 1, .out = 8, .padding = {1, 1}}, random),
                 ReLU{},
                 MaxPool2d{},
                 Flatten{},
                 Dropout{.p = 0.2},
                 Linear({.in = 6 * 6 * 8, .out = 2}, random)};
  Adam optimizer(named_parameters(net), {.learning_rate = 3e-3});
  for (std::uint64_t step = 0; step < 60; ++step) {
    const Batch batch = bars(32, step + 2);
    const Variable loss = cross_entropy(net(batch.images), batch.conditioning.labels);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    if (step % 20 == 0) fmt::print("step {:2}  loss {:.3f}\n", step, loss.item());
  }

  set_training(net, false);
  const Batch test = bars(500, 1);
  const Tensor logits = net(test.images).value();
  const Tensor right = equal(argmax(logits, 1), test.conditioning.labels).to(DType::float32);
  fmt::print("right: {:.3f}\n{}\n", mean(right).item(), logits.slice(0, 0, 3));
  return mean(right).item() > 0.95 ? 0 : 1;
}
