// The networks of hub_networks.py, run as forward() there says.
#pragma once

#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/clip_text_json.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/io/safetensors.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ebb::test {

struct HubRun {
  Variable y;                                            // flat
  std::vector<std::pair<std::string, Variable>> inputs;  // those that have a gradient
};

inline Variable flat_nchw(const Variable& x) { return reshape(permute(x, {0, 3, 1, 2}), {-1}); }

inline HubRun hub_forward(const CLIPTextModel& model, const Safetensors& given,
                          const std::string& at) {
  return {reshape(model(given[at + "tokens"]), {-1}), {}};
}

inline HubRun hub_forward(const AutoencoderKL& model, const Safetensors& given,
                          const std::string& at) {
  const Variable x(nchw_to_nhwc(given[at + "x"]), true);
  const DiagonalGaussian latents = model.encode(x);
  const Variable image = model.decode(latents.sample(nchw_to_nhwc(given[at + "eps"])));
  return {cat({flat_nchw(image), latents.kl()}, 0), {{"x", x}}};
}

inline HubRun hub_forward(const UNet2D& model, const Safetensors& given, const std::string& at) {
  const Variable x(nchw_to_nhwc(given[at + "x"]), true), states(given[at + "states"], true);
  Conditioning classes;
  if (given.contains(at + "labels")) classes.labels = given[at + "labels"];
  TextContext text{states, given[at + "mask"], {}};
  HubRun run{{}, {{"x", x}, {"states", states}}};
  if (given.contains(at + "pooled")) {
    text.pooled = Variable(given[at + "pooled"], true);
    run.inputs.emplace_back("pooled", text.pooled);
  }
  run.y = flat_nchw(model(x, given[at + "t"], classes, text));
  return run;
}

// Calls f(model) with the network called `kind`, built from its config.json.
template <class F>
void with_hub_network(const std::string& kind, const nlohmann::json& config, F f) {
  PhiloxGenerator generator(0);
  if (kind == "autoencoder_kl") {
    AutoencoderKL model(apps::autoencoder_config_from_json(config), generator);
    f(model);
  } else if (kind == "clip_text_model") {
    CLIPTextModel model(apps::clip_text_config_from_json(config), generator);
    f(model);
  } else {
    check(kind == "unet2d_condition", "no network is called '{}'", kind);
    nlohmann::json whole = config;
    whole["_class_name"] = "UNet2DConditionModel";
    UNet2D model(apps::unet2d_config_from_json(whole), generator);
    f(model);
  }
}

}  // namespace ebb::test
