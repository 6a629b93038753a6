// Whole networks, training and sampling on a GPU beside the CPU.
#include <doctest/doctest.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/schedules/noise.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/training/trainer.h>

#include <memory>

#include "tests/golden.h"

namespace ebb {
namespace {

const Device gpu = Device::cuda;

// Forward, loss and every gradient of a network at `times`, on both devices.
void check_network(Model& model, const Tensor& x, const Conditioning& given, double tolerance) {
  const Tensor t = Tensor::full({x.size(0)}, 0.3), target = philox_normal(x.shape(), {9});
  const auto run = [&](Device device) {
    move_to(model, device);
    std::vector<NamedParameter> parameters = named_parameters(model);
    for (NamedParameter& p : parameters) p.variable.zero_grad();
    const Variable y = model(x.to(device), t.to(device), given.to(device));
    const Variable loss = weighted_mse(y, target.to(device));
    loss.backward();
    std::vector<NamedTensor> result{{"output", y.value().to(Device::cpu)},
                                    {"loss", loss.value().to(Device::cpu)}};
    for (const NamedParameter& p : parameters)
      result.push_back({p.name, p.variable.grad().to(Device::cpu)});
    return result;
  };
  const std::vector<NamedTensor> want = run(Device::cpu), got = run(gpu);
  for (std::size_t i = 0; i < want.size(); ++i)
    // A key's bias moves all scores of a query alike: its gradient is rounding.
    if (!want[i].name.ends_with("to_k.bias"))
      test::check_close(want[i].name, got[i].tensor, want[i].tensor, tolerance);
}

TEST_CASE("cuda: the tutorial's networks at a reduced size") {
  const test::ExactConvolutions exact(true);
  PhiloxGenerator generator(3);
  SimpleUNet simple({.channels = 3}, generator);
  check_network(simple, philox_normal({1, 8, 8, 3}, {1}), {}, 2e-5);
  ConditionalUNet conditional(10, {.channels = 1}, generator);
  check_network(conditional, philox_normal({2, 8, 8, 1}, {2}),
                {Tensor::from(std::vector<std::int64_t>{3, 10})}, 2e-5);
}

TEST_CASE("cuda: UNet2D with attention, at 8 x 8") {
  PhiloxGenerator generator(3);
  UNet2DConfig config = unet2d_preset("tiny", 3, 4);
  UNet2D model(config, generator);
  check_network(model, philox_normal({2, 8, 8, 3}, {1}),
                {Tensor::from(std::vector<std::int64_t>{1, 4})}, 2e-5);
}

// A small network that trains in earnest.
struct Small {
  explicit Small(Device device, std::uint64_t seed = 7) {
    PhiloxGenerator generator(seed);
    model = std::make_unique<UNet2D>(unet2d_preset("tiny", 1, 2), generator);
    move_to(*model, device);
    trainer = std::make_unique<Trainer>(
        named_parameters(*model),
        diffusion_objective(*model, Path::discrete(alphas_cumprod_named("cosine", 100)), {}),
        TrainingConfig{.seed = 3});
  }
  StepReport step(Device device) {
    const Batch batch{philox_normal({4, 8, 8, 1}, {static_cast<std::uint64_t>(trainer->steps())}),
                      {Tensor::from(std::vector<std::int64_t>{0, 1, 0, 1})}};
    return trainer->step(batch.to(device), 0);
  }
  std::unique_ptr<UNet2D> model;
  std::unique_ptr<Trainer> trainer;
};

TEST_CASE("cuda: training steps are the CPU's, saved and resumed in the same bits") {
  Small here(Device::cpu), there(gpu);
  for (int i = 0; i < 3; ++i) {
    const StepReport want = here.step(Device::cpu), got = there.step(gpu);
    CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-5));
    CHECK(got.grad_norm == doctest::Approx(want.grad_norm).epsilon(1e-4));
  }
  std::vector<NamedTensor> saved;
  for (const NamedTensor& entry : there.trainer->state())
    saved.push_back({entry.name, entry.tensor.to(Device::cpu).clone()});
  there.step(gpu);
  Small resumed(gpu, 8);
  resumed.trainer->load_state(saved);
  resumed.step(gpu);
  const auto want = there.trainer->state(), got = resumed.trainer->state();
  for (std::size_t i = 0; i < want.size(); ++i)
    CHECK_MESSAGE(got[i].tensor.to_vector<double>() == want[i].tensor.to_vector<double>(),
                  want[i].name);
  // A checkpoint of a GPU's run goes on on the CPU.
  Small home(Device::cpu, 9);
  home.trainer->load_state(saved);
  CHECK(home.trainer->steps() == 3);
  CHECK(home.step(Device::cpu).loss < 10);
}

TEST_CASE("cuda: every sampler gives the CPU's picture") {
  const Path path = Path::discrete(alphas_cumprod_named("cosine", 100));
  PhiloxGenerator generator(5);
  UNet2D model(unet2d_preset("tiny", 1, 0), generator);
  for (const SamplerInfo& info : samplers()) {
    CAPTURE(std::string(info.name));
    const auto run = [&](Device device) {
      move_to(model, device);
      const Denoiser denoiser = make_denoiser(
          [&](const Tensor& x, const Level& level) {
            const NoGrad no_grad;
            return model(x, times_of(level, x), {}).value();
          },
          Prediction::v);
      const Tensor start = start_noise(path, {1, 8, 8, 1}, 11, 0);
      return info
          .run({denoiser, path, make_grid(path, 4, info.spacing), philox_noise(11), {}},
               start.to(device), {})
          .to(Device::cpu);
    };
    CHECK(relative_error(run(gpu), run(Device::cpu)) < 1e-4);
  }
}

}  // namespace
}  // namespace ebb
