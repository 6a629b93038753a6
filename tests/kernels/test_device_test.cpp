// Device::test: memory that is closed to the host, and copies that are counted.
#include <doctest/doctest.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/tensor/backend/backend.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace ebb {
namespace {

// Whether a child process that does `work` dies of it.
bool dies(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

TEST_CASE("test device: its memory is closed but for kernels and copies") {
  const Tensor x = Tensor::full({3}, 2.5, DType::float32, Device::test);
  CHECK(mul(x, 2).to(Device::cpu).to_vector<float>() == std::vector<float>{5, 5, 5});
  CHECK_FALSE(dies([] {}));
  CHECK(dies([&] {
    const volatile float first = *static_cast<const float*>(x.raw());
    static_cast<void>(first);
  }));
  CHECK(dies([&] { *static_cast<volatile float*>(const_cast<void*>(x.raw())) = 1; }));
  CHECK_THROWS_WITH(x.data<float>(), doctest::Contains("on device test"));
}

struct Objective {
  const char* name;
  ObjectiveConfig config;
  std::int64_t uploads;  // of times, coefficients and frequencies
};

TEST_CASE("test device: a training step copies to the host what its report asks for") {
  using Kind = LossWeight::Kind;
  for (const Objective& objective :
       {Objective{"epsilon", {.prediction = Prediction::epsilon}, 3},
        Objective{"v, mirrored", {.prediction = Prediction::v, .flip = true}, 4},
        Objective{
            "x0, weighted", {.prediction = Prediction::x0, .weight = {.kind = Kind::min_snr}}, 4}})
    for (const std::int64_t parts : {1, 2}) {
      CAPTURE(std::string(objective.name));
      CAPTURE(parts);
      PhiloxGenerator generator(7);
      UNet2D model(unet2d_preset("tiny", 1, 2), generator);
      move_to(model, Device::test);
      Trainer trainer(
          named_parameters(model),
          diffusion_objective(model, Path::discrete(alphas_cumprod_named("cosine", 100)),
                              objective.config),
          {.accumulation = parts, .seed = 3});
      const Batch batch{philox_normal({4, 8, 8, 1}, {1}), Tensor::zeros({4}, DType::int64)};
      const Batch there = batch.to(Device::test);
      trainer.step(there, 0);
      const test_device::Copies before = test_device::copies();
      trainer.step(there, 0);
      const test_device::Copies after = test_device::copies();
      CHECK(after.downloads - before.downloads == 2);  // loss and norm; are the weights finite
      CHECK(after.uploads - before.uploads == objective.uploads * parts);
    }
}

TEST_CASE("test device: losses, norms and embeddings copy nothing to the host") {
  PhiloxGenerator generator(7);
  BatchNorm2d norm({.channels = 3});
  Embedding embedding({.count = 5, .width = 3}, generator);
  move_to(norm, Device::test);
  move_to(embedding, Device::test);
  const auto there = [](const Tensor& x) { return Variable(x.to(Device::test)); };
  const Variable x = there(philox_normal({2, 4, 4, 3}, {1}));
  const Tensor index = Tensor::from(std::vector<std::int64_t>{1, 3}).to(Device::test);
  const Variable target = there(Tensor::ones({2, 4, 4, 3}));
  const std::int64_t before = test_device::copies().downloads;
  const Variable y = norm(x) + reshape(embedding(index), {2, 1, 1, 3});
  (mse_loss(y, target) + l1_loss(y, target) + huber_loss(y, target) +
   binary_cross_entropy_with_logits(y, target) + cross_entropy(mean(y, {1, 2}), index - 1))
      .backward();
  CHECK(test_device::copies().downloads == before);
  CHECK(norm.num_batches_tracked.to(Device::cpu).item() == 1);
  CHECK_THROWS_WITH(embedding(index + 2), doctest::Contains("index 5 is out of range"));
}

}  // namespace
}  // namespace ebb
