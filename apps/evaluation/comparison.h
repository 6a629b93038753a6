// Every sampler on one trained network, in one picture.
#pragma once

#include <ebb/apps/images/png.h>
#include <ebb/apps/runs/sampling.h>

namespace ebb::apps {

struct ComparisonRequest {
  std::vector<std::int64_t> steps{5, 10, 20, 50};
  std::int64_t count = 3;  // images for each sampler and number of steps, all from the same noise
  double guidance = 2;
  std::uint64_t seed = 0;
  std::vector<std::int64_t> labels = {};
};

// A row a sampler, with its name; `count` columns for each number of steps, named above. After
// each cell `done` is told the fraction of the whole.
Image compare_samplers(const Model& model, const RunConfig& config,
                       const ComparisonRequest& request,
                       const std::function<void(double fraction)>& done = {});

}  // namespace ebb::apps
