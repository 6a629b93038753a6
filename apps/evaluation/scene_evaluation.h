// How well a model that is told captions of scenes draws what they say, judged by formula
// (scene_judge.h): compositions of training, and those that never occurred in it.
#pragma once

#include <ebb/apps/evaluation/scene_classifier.h>
#include <ebb/apps/runs/sampling.h>

#include <nlohmann/json.hpp>

namespace ebb::apps {

// Shares of samples, or of drawn scenes: scene_judge.h says of what.
struct SceneShares {
  double colors = 0, shapes = 0, things = 0, relation = 0, whole = 0, clean = 0;
  // whole again, of what was asked: a thing alone, things alike, two in a relation, three things.
  double one = 0, alike = 0, related = 0, three = 0;
  // Of things alone whose size was not asked for: the spread of place and radius, as a share of
  // that in scenes that were drawn. 1: as varied.
  double diversity = 0;
  // By a network (scene_classifier.h): things, and whole but for sizes.
  double classified_things = 0, classified_whole = 0;
  // Frechet distance of its features from those of other scenes of the kind, drawn.
  double frechet_distance = 0;
};
nlohmann::json to_json(const SceneShares& shares);

// The scenes asked for: `count` of `kind`.
std::vector<Scene> asked_scenes(SceneKind kind, std::int64_t count);
// images (N, H, W, 3), one for each scene.
SceneShares judge_scenes(const std::vector<Scene>& asked, const Tensor& images,
                         const SceneClassifier& classifier);

// Prints a table, of request.count samples each for every kind and every setting (guidance, or
// steps, one after another), and writes it to `out` (.json) beside a picture of samples of each
// kind. What the judges say of the scenes themselves, drawn, is the first row of each kind.
struct SceneSweep {
  std::string over;            // guidance, steps, or empty: the request as it is
  std::vector<double> values;  // none: usual ones
};
void evaluate_scenes(const SceneSweep& sweep, const Model& model, const RunConfig& config,
                     SampleRequest request, const FeatureClassifierOptions& judge,
                     nlohmann::json head, const std::string& out);

}  // namespace ebb::apps
