// The samplers by name, with their usual settings.
#pragma once

#include <ebb/diffusion/samplers/samplers.h>

#include <optional>
#include <span>
#include <string_view>

namespace ebb {

// What may be set from outside; each sampler takes what concerns it and an Error names the rest.
struct SamplerSettings {
  std::optional<double> eta;    // ddim, the ancestral ones, tcd
  std::optional<double> churn;  // heun, edm_euler
  // The multistep dpmpp, unipc and deis; usually what diffusers does.
  std::optional<bool> lower_order_final = {};
};

struct SamplerInfo {
  std::string_view name;
  std::string_view summary;  // one line; "from N steps on" where fewer are not enough
  Spacing spacing;           // that it is usually run with
  int order;                 // of convergence to the ODE's solution; 0 for a stochastic sampler
  int evaluations;           // of the denoiser in a step
  bool takes_eta, takes_churn;
  Tensor (*run)(const Sampling&, Tensor, const SamplerSettings&);
  bool takes_lower_order = false;
};

std::span<const SamplerInfo> samplers();
// An unknown name is an Error that lists them.
const SamplerInfo& find_sampler(std::string_view name);
// An Error also for settings that it does not take.
const SamplerInfo& find_sampler(std::string_view name, const SamplerSettings& settings);
Tensor run_sampler(std::string_view name, const Sampling& s, Tensor x,
                   const SamplerSettings& settings = {});

}  // namespace ebb
