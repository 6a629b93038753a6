// What the commands that draw samples are told about drawing them.
#pragma once

#include <ebb/apps/runs/sampling.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace ebb::apps {

struct SamplerFlags {
  SampleRequest request;
  std::string spacing, shift, guidance_interval, clip;  // empty: the usual
  bool zero_terminal_snr = false;
  double usual_guidance = 1;       // of the command, where the model has a null class
  std::optional<double> guidance;  // as given
  CLI::Option *sampler = nullptr, *steps = nullptr;  // which say whether they were given
};

// Options from --sampler to --clip, --seed and --batch. `flags` must outlive `command`.
void add_sampler_flags(CLI::App& command, SamplerFlags& flags);

// Puts what is text or of the path into `flags.request` and `config`; what was not given of a
// student is as it was taught. A sampler, spacing or shift that is none, or does not fit the run's
// path, is a UsageError.
void settle(SamplerFlags& flags, RunConfig& config);

}  // namespace ebb::apps
