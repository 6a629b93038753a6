// ebb_unet2d MODEL INPUTS OUTPUTS: runs the model in folder MODEL (as diffusers saves it) on
// `sample` (N, C, H, W), `timestep` (N) and, if there, `labels` of INPUTS; writes the result
// `sample`, and `grad.NAME`, the gradients of sum(sample * cotangent), to OUTPUTS. Writes the
// model back to MODEL/copy.
#include <ebb/apps/unet2d_json.h>
#include <ebb/autograd/ops.h>
#include <ebb/nn/safetensors.h>

#include <cstdio>

namespace {

void run(const std::string& folder, const std::string& inputs, const std::string& outputs) {
  using namespace ebb;
  const apps::DiffusersModel read = apps::read_diffusers_model(folder);
  UNet2D& model = *read.unet;
  const Safetensors given = read_safetensors(inputs);
  Variable x(nchw_to_nhwc(given["sample"]), /*requires_grad=*/true);
  const Variable y =
      model(x, given["timestep"], given.contains("labels") ? given["labels"] : Tensor());
  std::vector<NamedTensor> results{{"sample", nhwc_to_nchw(y.value())}};
  y.backward(nchw_to_nhwc(given["cotangent"]));
  results.push_back({"grad.sample", nhwc_to_nchw(x.grad())});
  for (const NamedParameter& p : named_parameters(model))
    if (p.variable.grad().defined()) results.push_back({"grad." + p.name, p.variable.grad()});
  write_safetensors(outputs, results);
  apps::write_diffusers_model(read, folder + "/copy");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: ebb_unet2d MODEL INPUTS OUTPUTS\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ebb_unet2d: %s\n", error.what());
    return 1;
  }
}
