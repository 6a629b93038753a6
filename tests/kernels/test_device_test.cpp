// Device::test: memory that is closed to the host, and copies that are counted.
#include <doctest/doctest.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/nn/training/batch_loader.h>
#include <ebb/tensor/backend/async_copy.h>
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

TEST_CASE("test device: a second one has memory of its own") {
  const Device second(Device::test, 1);
  CHECK(name_of(second) == "test:1");
  CHECK(parse_device("test:1") == second);
  CHECK(parse_device("test:0") == Device::test);
  const Tensor x = Tensor::full({3}, 2, DType::float32, Device::test);
  const Tensor y = Tensor::full({3}, 3, DType::float32, second);
  CHECK((y * y).device() == second);
  CHECK((y * y).to(Device::cpu).to_vector<float>() == std::vector<float>{9, 9, 9});
  CHECK(x.to(second).to(Device::cpu).to_vector<float>() == std::vector<float>{2, 2, 2});
  CHECK_THROWS_WITH(x + y, doctest::Contains("test and test:1"));
  // Its kernels do not reach the first one's memory.
  CHECK(dies([&] {
    Tensor out = Tensor::empty({3}, DType::float32, second);
    use("mul", second, kernels(second).binary)(Binary::mul, x, y, out);
  }));
  CHECK_THROWS_WITH(Tensor::zeros({1}, DType::float32, Device(Device::test, 2)),
                    "device test:2: there are 2 of its kind; count from 0");
  CHECK_THROWS_WITH(Tensor::zeros({1}, DType::float32, Device(Device::cpu, 1)),
                    "device cpu:1: there is 1 of its kind; count from 0");
}

TEST_CASE("async copy: the copy is there after wait, whatever becomes of its source") {
  for (const Device device :
       {Device(Device::test), Device(Device::test, 1), Device(Device::reference)}) {
    CAPTURE(name_of(device));
    Tensor x = Tensor::arange(5).to(DType::float32);
    const std::vector<float> before = x.to_vector<float>();
    AsyncCopy up(x, device);
    x.fill_(-1);
    up.wait();
    const Tensor doubled = up.result() * 2;
    up.wait();
    AsyncCopy down(up.result(), Device::cpu);
    down.wait();
    CHECK(down.result().to_vector<float>() == before);
    CHECK(doubled.to(Device::cpu).to_vector<float>()[4] == 8);
    AsyncCopy moved = std::move(down);
    down = AsyncCopy(doubled, Device::cpu);
    down.wait();
    CHECK(down.result().to_vector<float>()[3] == 6);
    const AsyncCopy none(Tensor::zeros({0}), device), dropped(x, device);
    CHECK(none.result().shape() == Shape{0});
  }
  // The test device copies as late as it may: without wait nothing has come.
  const Tensor zeros = Tensor::zeros({4}, DType::float32, Device::test);
  AsyncCopy late(Tensor::ones({4}), Device::test);
  late.result();
  CHECK(test_device::copies().uploads > 0);
  CHECK_THROWS_WITH(AsyncCopy(zeros, Device(Device::test, 1)), doctest::Contains("one of them"));
  CHECK_THROWS_AS(AsyncCopy(Tensor::ones({1}), Device::cpu), Error);
}

TEST_CASE("BatchLoader brings batches to its device") {
  BatchLoader loader(
      [](std::int64_t step) {
        return Batch{Tensor::full({2, 2}, static_cast<double>(step)),
                     Tensor::full({2}, static_cast<double>(step), DType::int64)};
      },
      Device::test);
  for (std::int64_t step = 0; step < 20; ++step) {
    const Batch batch = loader.batch(step);
    CHECK(batch.images.device() == Device::test);
    CHECK((batch.images + batch.conditioning.labels.to(DType::float32))
              .to(Device::cpu)
              .to_vector<float>() == std::vector<float>(4, static_cast<float>(2 * step)));
  }
}

}  // namespace
}  // namespace ebb
