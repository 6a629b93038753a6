// The tutorial's loop: noised images, a U-Net, Adam, and images drawn from noise.
#include <ebb/ebb.h>

#include <cstdlib>

using namespace ebb;

int main(int argc, char** argv) {
  const std::int64_t steps = argc > 1 ? std::atoi(argv[1]) : 10;
  constexpr std::int64_t T = 200, batch = 4, side = 64;
  TorchGenerator random(42);  // torch.manual_seed(42)
  const auto images = [&](std::int64_t count) {
    return nchw_to_nhwc(random.randn({count, 3, side, side}));
  };
  for (int picture = 0; picture < 4; ++picture) images(1);  // its pictures of the forward process

  SimpleUNet model({}, random);
  const Path path = Path::discrete(alphas_cumprod(linear_betas(T)));
  const auto loss_of = [&] {
    const Tensor x0 = images(batch);
    const Tensor t = random.randint(0, T, {batch});
    const Tensor noise = images(batch);
    return mse_loss(model(add_noise(path, x0, noise, t), t.to(DType::float32)), noise);
  };

  Adam optimizer(named_parameters(model), {.learning_rate = 1e-3});
  for (std::int64_t step = 0; step < steps; ++step) {
    const Variable loss = loss_of();
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    fmt::print("Loss: {:.2f}\n", loss.item());
  }

  const NoGrad no_grad;
  const Denoiser denoiser = make_denoiser(
      [&](const Tensor& x, const Level& level) { return model(x, times_of(level, x)).value(); },
      Prediction::epsilon);
  const Tensor samples = ddpm(
      {denoiser, path, make_grid(path, steps), generator_noise(random, true), {}}, images(batch));
  fmt::print("Sampled images: {}\n{}\n", samples.shape(), samples.select(3, 0).select(0, 0));
}
