// Quality as a curve: against the sampler's steps, the guidance, or the minutes of training.
#pragma once

#include <ebb/apps/evaluation/evaluation.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/runs/sampling.h>

#include <nlohmann/json.hpp>

namespace ebb::apps {

struct SweepOptions {
  std::string over;            // steps, guidance, checkpoints
  std::vector<double> values;  // of steps or guidance; none: usual ones
  std::vector<std::string> samplers{"ddim", "dpmpp_2m", "unipc", "heun", "euler_a", "ddpm"};
};

nlohmann::json to_json(const SampleMetrics& metrics);

// evaluation.count() samples of its classes or captions, under a line of progress.
Tensor draw_for(const Evaluation& evaluation, const Model& model, const RunConfig& config,
                SampleRequest request);

// Draws samples by `config` and as `request` says but for what is swept over, and writes `out`
// (.json): `head`, "floor" and "rows", one a point. Beside it the plot (.png).
void run_sweep(const SweepOptions& options, const RunFolder& run, const RunConfig& config,
               RunFolder::Weights weights, const Evaluation& evaluation, SampleRequest request,
               std::int64_t checkpoint, nlohmann::json head, const std::string& out);

}  // namespace ebb::apps
