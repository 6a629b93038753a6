// The other half of tests/pytorch_interop.py: makes weights, and runs weights from a file.
//   ebb_interop init MODEL SEED WEIGHTS
//   ebb_interop forward MODEL WEIGHTS INPUTS OUTPUTS
// MODEL is simple or conditional, with "-sinusoidal" or without. INPUTS holds x (N, C, H, W),
// t (N) and perhaps labels (N); OUTPUTS gets y (N, C, H, W).
#include <ebb/autograd/variable.h>
#include <ebb/diffusion/tutorial_unet.h>
#include <ebb/nn/safetensors.h>
#include <ebb/tensor/layout.h>

#include <cstdio>
#include <memory>

using namespace ebb;

namespace {

constexpr std::int64_t channels = 3, classes = 5;

std::unique_ptr<Model> make_model(std::string_view name, std::uint64_t seed) {
  PhiloxGenerator generator(seed);
  TutorialUNetOptions options{.channels = channels};
  if (name.ends_with("-sinusoidal")) options.time_features = 64;
  if (name.starts_with("simple")) return std::make_unique<SimpleUNet>(options, generator);
  check(name.starts_with("conditional"), "no model is called '{}'", name);
  return std::make_unique<ConditionalUNet>(classes, options, generator);
}

void run(const std::vector<std::string>& arguments) {
  check(arguments.size() >= 4, "usage: ebb_interop init|forward MODEL ...");
  if (arguments[0] == "init") {
    const std::unique_ptr<Model> model = make_model(arguments[1], std::stoull(arguments[2]));
    write_safetensors(arguments[3], state_dict(*model));
    return;
  }
  check(arguments[0] == "forward" && arguments.size() == 5,
        "usage: ebb_interop forward MODEL WEIGHTS INPUTS OUTPUTS");
  const std::unique_ptr<Model> model = make_model(arguments[1], 0);
  load_state_dict(*model, read_safetensors(arguments[2]).tensors);
  const Safetensors inputs = read_safetensors(arguments[3]);
  const NoGrad no_grad;
  const Tensor labels = inputs.contains("labels") ? inputs["labels"] : Tensor();
  const Variable y = (*model)(nchw_to_nhwc(inputs["x"]), inputs["t"], labels);
  write_safetensors(arguments[4], {{"y", nhwc_to_nchw(y.value())}});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ebb_interop: %s\n", error.what());
    return 1;
  }
}
