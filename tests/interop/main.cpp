// This library's half of the comparisons with others, whose other halves are the scripts here.
//   ebb_interop init MODEL SEED WEIGHTS              makes weights of a tutorial's U-Net
//   ebb_interop forward MODEL WEIGHTS INPUTS OUTPUTS runs it
//   ebb_interop unet2d FOLDER INPUTS OUTPUTS         runs a UNet2D, forward and backward
//   ebb_interop hub KIND FOLDER INPUTS OUTPUTS       runs a network of hub_networks.py
//   ebb_interop tokenizer FOLDER                     trains one on FOLDER/captions.json
//   ebb_interop operators FILE DTYPE OUTPUTS         runs the cases of operators.py
//   ebb_interop samplers FILE                        runs the cases of samplers.py
//   ebb_interop safetensors FOLDER OUTPUTS           reads the files of safetensors_files.py
// MODEL is simple or conditional, with "-sinusoidal" or without.
#include <ebb/apps/exchange/tokenizer_json.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/system/console.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/io/safetensors.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "tests/golden/operators.h"
#include "tests/interop/hub_networks.h"
#include "tests/interop/networks.h"
#include "tests/interop/sampler_case.h"

using namespace ebb;

namespace {

using Arguments = std::vector<std::string>;

void init(const Arguments& arguments) {
  const std::unique_ptr<Model> model =
      test::make_tutorial_unet(arguments[0], std::stoull(arguments[1]));
  write_safetensors(arguments[2], state_dict(*model));
}

// INPUTS holds x (N, C, H, W), t (N) and perhaps labels (N); OUTPUTS gets y (N, C, H, W).
void forward(const Arguments& arguments) {
  const std::unique_ptr<Model> model = test::make_tutorial_unet(arguments[0], 0);
  load_state_dict(*model, read_safetensors(arguments[1]).tensors);
  const Safetensors inputs = read_safetensors(arguments[2]);
  const NoGrad no_grad;
  const Tensor labels = inputs.contains("labels") ? inputs["labels"] : Tensor();
  const Variable y = (*model)(nchw_to_nhwc(inputs["x"]), inputs["t"], labels);
  write_safetensors(arguments[3], {{"y", nhwc_to_nchw(y.value())}});
}

// The model in FOLDER (as diffusers saves it) on `sample` (N, C, H, W), `timestep` (N) and, if
// there, `labels` of INPUTS. OUTPUTS gets the result `sample` and `grad.NAME`, the gradients of
// sum(sample * cotangent); FOLDER/copy the model, written back.
void unet2d(const Arguments& arguments) {
  const apps::DiffusersModel read = apps::read_diffusers_model(arguments[0]);
  UNet2D& model = *read.unet;
  const Safetensors given = read_safetensors(arguments[1]);
  Variable x(nchw_to_nhwc(given["sample"]), /*requires_grad=*/true);
  const Variable y =
      model(x, given["timestep"], given.contains("labels") ? given["labels"] : Tensor());
  std::vector<NamedTensor> results{{"sample", nhwc_to_nchw(y.value())}};
  y.backward(nchw_to_nhwc(given["cotangent"]));
  results.push_back({"grad.sample", nhwc_to_nchw(x.grad())});
  for (const NamedParameter& p : named_parameters(model))
    if (p.variable.grad().defined()) results.push_back({"grad." + p.name, p.variable.grad()});
  write_safetensors(arguments[2], results);
  apps::write_diffusers_model(read, arguments[0] + "/copy");
}

template <class Network>
void run_hub(Network& network, const Arguments& arguments) {
  const test::HubRun run = test::hub_forward(network, read_safetensors(arguments[2]), "");
  run.y.backward(read_safetensors(arguments[2])["cotangent"]);
  std::vector<NamedTensor> results{{"y", run.y.value()}};
  for (const auto& [name, input] : run.inputs)
    results.push_back(
        {"grad." + name, input.rank() == 4 ? nhwc_to_nchw(input.grad()) : input.grad()});
  for (const NamedParameter& p : named_parameters(network))
    if (p.variable.grad().defined()) results.push_back({"grad." + p.name, p.variable.grad()});
  write_safetensors(arguments[3], results);
}

// The network in FOLDER as Hugging Face's libraries save it; FOLDER/copy gets it written back.
void hub(const Arguments& arguments) {
  const std::string &kind = arguments[0], &folder = arguments[1], copy = folder + "/copy";
  if (kind == "autoencoder_kl") {
    const auto model = apps::read_diffusers_autoencoder(folder);
    run_hub(*model, arguments);
    apps::write_diffusers_autoencoder(*model, 8, copy);
  } else if (kind == "clip_text_model") {
    const auto model = apps::read_clip_text_model(folder);
    run_hub(*model, arguments);
    apps::write_clip_text_model(*model, copy);
  } else {
    const apps::DiffusersModel model = apps::read_diffusers_model(folder);
    run_hub(*model.unet, arguments);
    apps::write_diffusers_model(model, copy);
  }
}

// FOLDER gets tokenizer.json, and the tokens of each caption with start and end in tokens.json.
void tokenizer(const Arguments& arguments) {
  const std::string& folder = arguments[0];
  const auto captions =
      nlohmann::json::parse(read_file(folder + "/captions.json")).get<std::vector<std::string>>();
  apps::write_tokenizer(folder, BpeTokenizer::train(captions, 700));
  const BpeTokenizer read = apps::read_tokenizer(folder);
  nlohmann::json tokens = nlohmann::json::array();
  for (const std::string& caption : captions) {
    std::vector<std::int64_t> ids = read.encode(caption);
    ids.insert(ids.begin(), read.start());
    ids.push_back(read.end());
    tokens.push_back(ids);
  }
  write_file(folder + "/tokens.json", tokens.dump());
}

void operators(const Arguments& arguments) {
  const test::ReferenceFile file(arguments[0]);
  const DType dtype = arguments[1] == "float64" ? DType::float64 : DType::float32;
  std::vector<NamedTensor> results;
  for (const test::Json& entry : file.cases) {
    const auto name = entry.at("name").get<std::string>();
    try {
      const test::OperatorRun run = test::run_operator(file, entry, dtype);
      for (std::size_t i = 0; i < run.outputs.size(); ++i)
        results.push_back({fmt::format("{}/out/{}", name, i), run.outputs[i].value()});
      for (const auto& [input, variable] : run.inputs)
        if (variable.requires_grad()) results.push_back({name + "/grad/" + input, variable.grad()});
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", entry.dump(), error.what()));
    }
  }
  write_safetensors(arguments[2], results);
}

void samplers(const Arguments& arguments) {
  const test::ReferenceFile file(arguments[0]);
  int failed = 0;
  for (const test::Json& entry : file.cases) {
    const double error = test::sampler_case_error(file, entry);
    const bool ok = error <= entry.at("tolerance").get<double>();
    failed += !ok;
    fmt::print("{} {}: {:.1e}\n", ok ? "ok  " : "FAIL", entry.at("name").get<std::string>(), error);
  }
  check(failed == 0, "{} of {} samplers' runs differ", failed, file.cases.size());
}

// Every file of FOLDER: "NAME refused MESSAGE", or "NAME read" and in OUTPUTS/NAME what it holds.
void safetensors(const Arguments& arguments) {
  for (const auto& entry : std::filesystem::directory_iterator(arguments[0])) {
    const std::string name = entry.path().filename().string();
    try {
      const Safetensors file = read_safetensors(entry.path().string());
      write_safetensors(arguments[1] + "/" + name, file.tensors, file.metadata);
      fmt::print("{} read\n", name);
    } catch (const Error& error) {
      fmt::print("{} refused {}\n", name, apps::shown(error.what()));
    }
  }
}

struct Command {
  std::size_t arguments;
  void (*run)(const Arguments&);
};
const std::map<std::string, Command> commands{
    {"init", {3, init}},         {"forward", {4, forward}},        {"unet2d", {3, unet2d}},
    {"hub", {4, hub}},           {"tokenizer", {1, tokenizer}},    {"operators", {3, operators}},
    {"samplers", {1, samplers}}, {"safetensors", {2, safetensors}}};

}  // namespace

int main(int argc, char** argv) {
  const auto command = commands.find(argc > 1 ? argv[1] : "");
  if (command == commands.end() || command->second.arguments + 2 != std::size_t(argc)) {
    std::fprintf(stderr,
                 "usage: ebb_interop "
                 "init|forward|unet2d|hub|tokenizer|operators|samplers|safetensors ...\n");
    return 2;
  }
  try {
    command->second.run({argv + 2, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ebb_interop: %s\n", error.what());
    return 1;
  }
}
