// Whole networks, forward and backward, against PyTorch: networks.safetensors and
// hub_networks.safetensors, whose scripts, tests/interop/networks.py and hub_networks.py, say what
// is in them.
#include "tests/interop/networks.h"

#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <cmath>

#include "tests/capture.h"
#include "tests/golden.h"
#include "tests/interop/hub_networks.h"

using namespace ebb;
using namespace ebb::test;

namespace {

template <class Module>
std::vector<NamedParameter> by_name(Module& module) {
  std::vector<NamedParameter> result = named_parameters(module);
  std::sort(result.begin(), result.end(),
            [](const NamedParameter& a, const NamedParameter& b) { return a.name < b.name; });
  return result;
}

template <class Module>
void fill(Module& module, std::uint64_t seed) {
  TorchGenerator generator(seed);
  for (NamedParameter& p : by_name(module)) {
    const Shape& shape = p.variable.shape();
    Tensor value = generator.rand(shape) - 0.5;
    if (shape.rank() > 1)
      value = value * (2 * std::sqrt(3.0 * double(shape[0]) / double(shape.numel())));
    else if (p.name.find("norm") != std::string::npos && p.name.ends_with("weight"))
      value = value + 1;
    Tensor(p.variable.value()).copy_(value);
  }
}

// Norm, and the sum of elements times cos(0), cos(1), ...
std::array<double, 2> summary(const Tensor& gradient) {
  double squares = 0, sum = 0, place = 0;
  for (const double g : gradient.to_vector<double>()) {
    squares += g * g;
    sum += g * std::cos(place++);
  }
  return {std::sqrt(squares), sum};
}

using Gradients = std::vector<std::pair<std::string, Tensor>>;

template <class Module>
void add_gradients(Gradients& gradients, Module& module) {
  for (const NamedParameter& p : by_name(module))
    if (p.variable.grad().defined()) gradients.emplace_back(p.name, p.variable.grad());
}

// `expected`: a row for each, as summary() gives it.
void check_gradients(const Gradients& gradients, const Tensor& expected) {
  const std::vector<double> want = expected.to_vector<double>();
  REQUIRE(want.size() == 2 * gradients.size());
  const double largest = *std::max_element(want.begin(), want.end());
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const auto& [parameter, gradient] = gradients[i];
    CAPTURE_BINDING(parameter);
    // A key's bias moves all scores alike: its gradient is zero but for rounding.
    const bool nothing = parameter.ends_with("to_k.bias") || parameter.ends_with("k_proj.bias");
    const double norm = nothing ? largest : want[2 * i];
    const auto [length, sum] = summary(gradient);
    CHECK(std::abs(length - want[2 * i]) <= 1e-4 * norm);
    CHECK(std::abs(sum - want[2 * i + 1]) <= 1e-4 * norm);
  }
}

}  // namespace

TEST_CASE("golden networks: outputs and every gradient as in PyTorch") {
  const Golden golden("networks.safetensors");
  REQUIRE(golden.cases.size() >= 17);
  for (const Json& entry : golden.cases) {
    const auto name = entry.at("name").get<std::string>();
    CAPTURE(name);
    PhiloxGenerator generator(0);
    const auto kind = entry.at("model").get<std::string>();
    std::unique_ptr<Model> model;
    if (kind == "unet2d")
      model =
          std::make_unique<UNet2D>(apps::unet2d_config_from_json(entry.at("config")), generator);
    else
      model = make_tutorial_unet(kind, 0);
    fill(*model, entry.at("seed").get<std::uint64_t>());

    const Variable x(nchw_to_nhwc(golden[name + "/x"]), true);
    const bool labelled = golden.tensors.contains(name + "/labels");
    const Variable y =
        (*model)(x, golden[name + "/t"], labelled ? golden[name + "/labels"] : Tensor());
    check_close(name, nhwc_to_nchw(y.value()), golden[name + "/y"], 1e-5);
    y.backward(nchw_to_nhwc(golden[name + "/cotangent"]));

    Gradients gradients{{"x", nhwc_to_nchw(x.grad())}};
    add_gradients(gradients, *model);
    check_gradients(gradients, golden[name + "/grads"]);
  }
}

TEST_CASE("golden networks: those of diffusers and transformers, outputs and every gradient") {
  const Golden golden("hub_networks.safetensors");
  REQUIRE(golden.cases.size() == 16);
  for (const Json& entry : golden.cases) {
    const auto name = entry.at("name").get<std::string>();
    CAPTURE(name);
    with_hub_network(entry.at("model"), entry.at("config"), [&](auto& model) {
      fill(model, entry.at("seed").get<std::uint64_t>());
      const HubRun run = hub_forward(model, golden.tensors, name + "/");
      check_close(name, run.y.value(), golden[name + "/y"], 1e-5);
      run.y.backward(golden[name + "/cotangent"]);
      Gradients gradients;
      for (const auto& [input, variable] : run.inputs)
        gradients.emplace_back(
            input, variable.rank() == 4 ? nhwc_to_nchw(variable.grad()) : variable.grad());
      add_gradients(gradients, model);
      check_gradients(gradients, golden[name + "/grads"]);
    });
  }
}
