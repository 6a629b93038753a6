// The tutorial and forty training steps at full size on a GPU, number for number. Minutes each on
// the emulated one, so only by --no-skip.
#include <doctest/doctest.h>
#include <ebb/apps/tutorial/notebook.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/nn/optim/optimizer.h>

#include "tests/golden.h"

namespace ebb::test {
namespace {

TEST_CASE("cuda whole: the tutorial's training cell and a DDIM picture" * doctest::skip()) {
  namespace notebook = apps::notebook;
  const ExactConvolutions exact(true);
  const Golden golden("tutorial.safetensors");
  const Path path = notebook::path();
  TorchGenerator generator(notebook::seed);
  std::vector<std::int64_t> times;
  for (const auto& entry : golden.cases) {
    const std::string name = entry.at("name");
    if (name.starts_with("forward/t")) times.push_back(std::stoll(name.substr(9)));
  }
  notebook::noised_squares(path, times, generator);
  SimpleUNet model({}, generator);
  move_to(model, Device::cuda);
  const notebook::TrainingCell cell = notebook::training_cell(model, path, generator, Device::cuda);
  const auto home = [](const Tensor& x) { return nhwc_to_nchw(x.to(Device::cpu)); };
  check_close("x_t", home(cell.x_t), golden["train/x_t"], 1e-4);
  check_close("prediction", home(cell.prediction.value()), golden["train/noise_pred"], 1e-4);
  check_close("loss", cell.loss.value().to(Device::cpu), golden["train/loss"], 1e-4);
  cell.loss.backward();
  for (const NamedParameter& p : named_parameters(model))
    check_close(p.name, p.variable.grad().to(Device::cpu), golden["train/grad/" + p.name], 1e-4);
  const Tensor start = nchw_to_nhwc(golden["ddim/start"]).to(Device::cuda);
  check_close("ddim", home(notebook::ddim_cell(model, path, start, 50)), golden["ddim/sample_50"],
              1e-4);
}

}  // namespace
}  // namespace ebb::test
