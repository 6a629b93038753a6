// How well a model that is told captions of scenes draws what they say, judged by formula
// (scene_judge.h): compositions of training, and those that never occurred in it.
#pragma once

#include <ebb/apps/data/scenes.h>
#include <ebb/apps/runs/sampling.h>

#include <nlohmann/json.hpp>

namespace ebb::apps {

// Shares of samples, or of drawn scenes: scene_judge.h says of what.
struct SceneShares {
  double colors = 0, shapes = 0, things = 0, relation = 0, whole = 0, clean = 0;
  // Of things alone whose size was not asked for: the spread of place and radius, as a share of
  // that in scenes that were drawn. 1: as varied.
  double diversity = 0;
};
nlohmann::json to_json(const SceneShares& shares);

// The scenes asked for: `count` of `kind`.
std::vector<Scene> asked_scenes(SceneKind kind, std::int64_t count);
// images (N, H, W, 3) in [-1, 1], one for each scene.
SceneShares judge_scenes(const std::vector<Scene>& asked, const Tensor& images);
// What the judge says of the scenes themselves, drawn in `size` x `size` pixels.
SceneShares scene_ceiling(const std::vector<Scene>& asked, std::int64_t size);

// Prints a table, of request.count samples each for every kind and every setting (guidance, or
// steps, one after another), and writes it to `out` (.json) beside a picture of samples of each
// kind.
struct SceneSweep {
  std::string over;            // guidance, steps, or empty: the request as it is
  std::vector<double> values;  // none: usual ones
};
void evaluate_scenes(const SceneSweep& sweep, const Model& model, const RunConfig& config,
                     SampleRequest request, nlohmann::json head, const std::string& out);

}  // namespace ebb::apps
