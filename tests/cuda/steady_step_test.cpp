// What a training step asks of a GPU when its shapes have been seen before.
#include <doctest/doctest.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/training/trainer.h>

#include "emulation.h"

namespace ebb {
namespace {

TEST_CASE("cuda: a steady training step allocates nothing and waits for its report alone") {
  PhiloxGenerator generator(7);
  UNet2D model(unet2d_preset("tiny", 1, 2), generator);
  move_to(model, Device::cuda);
  Trainer trainer(
      named_parameters(model),
      diffusion_objective(model, Path::discrete(alphas_cumprod_named("cosine", 100)), {}), {});
  const Batch batch =
      Batch{philox_normal({4, 8, 8, 1}, {1}), {Tensor::zeros({4}, DType::int64)}}.to(Device::cuda);
  for (int i = 0; i < 3; ++i) trainer.step(batch, 0);
  const emulation::Counts before = emulation::counts();
  trainer.step(batch, 0);
  const emulation::Counts after = emulation::counts();
  CHECK(after.launches - before.launches <= 800);  // 778 when this was written
  CHECK(after.to_device - before.to_device == 4);  // times, coefficients and frequencies
  // Its report: loss and norm, are labels classes; are the weights finite.
  CHECK(after.to_host - before.to_host == 3);
  CHECK(after.synchronizations - before.synchronizations == 2);
  CHECK(after.allocations == before.allocations);
}

TEST_CASE("cuda: small uploads arrive, however many pass through the staging memory") {
  emulation::set_order(emulation::Order::all_late);
  std::vector<Tensor> there;
  for (int i = 0; i < 200; ++i) there.push_back(Tensor::full({4000 + i}, i).to(Device::cuda));
  for (int i = 0; i < 200; ++i)
    CHECK(there[static_cast<std::size_t>(i)].to_vector<float>() ==
          std::vector<float>(static_cast<std::size_t>(4000 + i), static_cast<float>(i)));
  emulation::set_order(emulation::Order::copies_late);
}

}  // namespace
}  // namespace ebb
