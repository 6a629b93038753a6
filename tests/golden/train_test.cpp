// Real training steps of the tutorial's conditional U-Net as PyTorch took them: train.safetensors.
#include <ebb/diffusion/guidance.h>
#include <ebb/diffusion/loss.h>
#include <ebb/diffusion/schedule.h>
#include <ebb/diffusion/tutorial_unet.h>
#include <ebb/nn/optim.h>
#include <ebb/tensor/layout.h>

#include <regex>

#include "tests/golden.h"

namespace ebb::test {
namespace {

// What the case's text says of the run; all other sizes are those of the tensors.
struct Recipe {
  std::uint64_t seed;
  std::int64_t T, batch, steps;
  double drop, learning_rate;

  explicit Recipe(const nlohmann::json& entry) {
    const std::string text = entry.at("what");
    auto number = [&](const char* pattern) {
      std::smatch found;
      check(std::regex_search(text, found, std::regex(pattern)), "'{}' has no '{}'", text, pattern);
      return std::stod(found[1]);
    };
    seed = entry.at("seed");
    steps = entry.at("steps");
    T = static_cast<std::int64_t>(number("T=([0-9]+)"));
    batch = static_cast<std::int64_t>(number("drop=rand\\(([0-9]+)\\)"));
    drop = number("drop=rand\\([0-9]+\\)<([0-9.]+)");
    learning_rate = number("Adam\\(([0-9.e-]+)\\)");
  }
};

}  // namespace

TEST_CASE("golden train: every loss and the final weights") {
  const ExactConvolutions exact(true);
  const Golden golden("train.safetensors");
  const Recipe recipe(golden.cases.at(0));
  const Tensor& data = golden["data"];  // (count, C, H, W)
  const std::int64_t count = data.size(0), channels = data.size(1);
  const std::int64_t classes = golden["init/class_emb.weight"].size(0) - 1;

  TorchGenerator generator(recipe.seed);
  ConditionalUNet model(classes, {.channels = channels}, generator);
  for (const NamedTensor& entry : state_dict(model))
    check_close("init/" + entry.name, entry.tensor, golden["init/" + entry.name],
                entry.name == "class_emb.weight" ? 2e-6 : 0);
  check_close("data", generator.rand(data.shape()) * 2.0 - 1.0, data, 0);
  const Tensor labels = generator.randint(0, classes, {count});
  check_close("labels", labels, golden["labels"], 0);

  const Tensor images = nchw_to_nhwc(data);
  const Path path = Path::discrete(alphas_cumprod(cosine_betas(recipe.T, 0.008, 0.9999, 0.0001)));
  const Shape shape = Shape(data.shape()).without(0).with(0, recipe.batch);
  Adam optimizer(named_parameters(model), {.learning_rate = recipe.learning_rate});
  const std::vector<double> expected = golden["losses"].to_vector<double>();
  REQUIRE(static_cast<std::int64_t>(expected.size()) == recipe.steps);
  for (std::int64_t step = 0; step < recipe.steps; ++step) {
    const Tensor index = generator.randint(0, count, {recipe.batch});
    const Tensor t = generator.randint(0, recipe.T, {recipe.batch});
    const Tensor noise = nchw_to_nhwc(generator.randn(shape));
    const Tensor u = generator.rand({recipe.batch});
    const Tensor given = drop_labels(index_select(labels, 0, index), u, recipe.drop, classes);
    const Tensor x_t = add_noise(path, index_select(images, 0, index), noise, t);
    const Tensor model_time = t.to(DType::float32) / static_cast<double>(recipe.T);
    const Variable loss = weighted_mse(model(x_t, model_time, given), noise);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    const double error = std::abs(loss.item() - expected[step]) / expected[step];
    CHECK_MESSAGE(error <= 1e-4, "loss of step " << step << ": error " << error);
  }
  for (const NamedTensor& entry : state_dict(model))
    check_close("final/" + entry.name, entry.tensor, golden["final/" + entry.name], 1e-4);
}

}  // namespace ebb::test
