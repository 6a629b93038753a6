// The tutorial run in PyTorch, cell by cell: every tensor of tutorial.safetensors.
#include <ebb/apps/tutorial/notebook.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/reduce.h>

#include <map>
#include <regex>

#include "tests/golden.h"

namespace ebb::test {
namespace {

namespace notebook = apps::notebook;
using Computed = std::map<std::string, Tensor>;

// The number after `mark` in a case's text, or `otherwise` where no case has the mark.
double number_after(const nlohmann::json& cases, const std::string& mark, double otherwise) {
  for (const auto& entry : cases) {
    const std::string text = entry.at("what");
    const std::size_t at = text.find(mark);
    if (at != std::string::npos) return std::stod(text.substr(at + mark.size()));
  }
  return otherwise;
}

void keep_schedule(Computed& computed, const std::string& betas_name, const std::string& bars_name,
                   const std::vector<double>& betas) {
  computed[betas_name] = Tensor::from(betas);
  computed[bars_name] = Tensor::from(alphas_cumprod(betas));
}

template <class Module>
void keep_parameters(Computed& computed, const std::string& prefix, Module& module) {
  for (const NamedTensor& entry : state_dict(module))
    computed[prefix + entry.name] = entry.tensor.clone();
}

Tensor range_of(const Tensor& x) {
  return Tensor::from(
      std::vector<float>{static_cast<float>(amin(x).item()), static_cast<float>(amax(x).item())});
}

Computed run_tutorial(const Golden& golden) {
  Computed computed;
  const std::int64_t T = notebook::timesteps;
  keep_schedule(computed, "betas_linear_200", "alphas_cumprod_200", linear_betas(T));
  keep_schedule(computed, "schedule/linear/betas", "schedule/linear/alphas_cumprod",
                linear_betas(1000));
  keep_schedule(computed, "schedule/cosine/betas", "schedule/cosine/alphas_cumprod",
                cosine_betas(1000, 0.008, 0.9999, 0.0001));
  keep_schedule(computed, "schedule/quadratic/betas", "schedule/quadratic/alphas_cumprod",
                quadratic_betas(1000));

  const Path path = notebook::path();
  TorchGenerator generator(
      static_cast<std::uint64_t>(number_after(golden.cases, "manual_seed(", notebook::seed)));

  std::vector<std::int64_t> times;
  for (const auto& entry : golden.cases) {
    const std::string name = entry.at("name");
    if (name.starts_with("forward/t")) times.push_back(std::stoll(name.substr(9)));
  }
  const std::vector<Tensor> squares = notebook::noised_squares(path, times, generator);
  for (std::size_t i = 0; i < times.size(); ++i)
    computed["forward/t" + std::to_string(times[i])] = nhwc_to_nchw(squares[i]);

  SimpleUNet simple({}, generator);
  keep_parameters(computed, "simple_unet/", simple);
  const notebook::TrainingCell training = notebook::training_cell(simple, path, generator);
  computed["train/t"] = training.t;
  computed["train/x_t"] = nhwc_to_nchw(training.x_t);
  computed["train/noise_pred"] = nhwc_to_nchw(training.prediction.value());
  computed["train/loss"] = training.loss.value();
  training.loss.backward();
  for (const NamedParameter& p : named_parameters(simple))
    computed["train/grad/" + p.name] = p.variable.grad();

  computed["ddpm/sample"] = nhwc_to_nchw(notebook::ddpm_cell(simple, path, generator));
  const Tensor start = nchw_to_nhwc(golden["ddim/start"]);
  computed["ddim/start"] = golden["ddim/start"];
  computed["ddim/sample_50"] = nhwc_to_nchw(notebook::ddim_cell(simple, path, start, 50));

  // The tutorial makes the optimizer and never steps it; the golden step comes last here.
  Adam optimizer(named_parameters(simple), {.learning_rate = 1e-3});
  optimizer.step();
  keep_parameters(computed, "train/after_adam/", simple);

  ConditionalUNet conditional(10, {}, generator);
  keep_parameters(computed, "conditional_unet/", conditional);
  const notebook::GuidanceCell guidance = notebook::guidance_cell(conditional, 7.5, generator);
  computed["cfg/x"] = nhwc_to_nchw(guidance.x);
  computed["cfg/cond"] = nhwc_to_nchw(guidance.conditional);
  computed["cfg/uncond"] = nhwc_to_nchw(guidance.unconditional);
  computed["cfg/guided_7.5"] = nhwc_to_nchw(guidance.guided);
  computed["notebook/range_no_cfg"] = range_of(guidance.conditional);
  computed["notebook/range_cfg"] = range_of(guidance.guided);
  return computed;
}

// Uniform and integer draws are exact, the embedding's normals to rounding.
double tolerance_of(const std::string& name) {
  if (name == "conditional_unet/class_emb.weight" || name == "cfg/x") return 2e-6;
  const bool drawn = name.starts_with("simple_unet/") || name.starts_with("conditional_unet/");
  return drawn || name == "train/t" ? 0 : 1e-4;
}

}  // namespace

TEST_CASE("golden tutorial: every tensor of every cell") {
  const Golden golden("tutorial.safetensors");
  for (const bool exact : {true, false}) {
    const ExactConvolutions mode(exact);
    const Computed computed = run_tutorial(golden);
    for (const auto& entry : golden.cases) {
      const std::string name = entry.at("name");
      if (!exact && name.starts_with("train/after_adam/")) continue;
      const auto found = computed.find(name);
      if (found == computed.end()) {
        FAIL_CHECK(name << ": nothing here computes this");
      } else {
        check_close(name, found->second, golden[name], tolerance_of(name));
      }
    }
  }
}

}  // namespace ebb::test
