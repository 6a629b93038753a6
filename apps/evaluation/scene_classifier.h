// What a picture of a scene shows, by a network: a second opinion beside the formula of
// scene_judge.h. It is trained on scenes of every kind, those kept out of training among them, so
// that it expects none more than another.
#pragma once

#include <ebb/apps/data/scenes.h>
#include <ebb/apps/evaluation/feature_classifier.h>
#include <ebb/nn/layers/layers.h>

namespace ebb::apps {

// 3x3 convolutions of stride 2 down to 4 x 4 pixels, then two linear layers.
struct SceneNetwork {
  SceneNetwork(std::int64_t size, Generator& generator);
  // images (N, size, size, 3); (N, 128).
  Variable features(const Variable& images) const;
  // (N, kinds x (most_alike + 1) + 4): how many of each kind of thing, and where, where a relation
  // is said, the first of two by kind stands to the other, or one to the picture's middle.
  Variable logits(const Variable& features) const;
  void visit(Visitor& v);

  std::vector<Conv2d> convs;
  std::vector<GroupNorm> norms;
  Linear hidden, head;
};

struct SceneOpinion {
  bool things = false;  // colours on the shapes that they belong to, and as many
  bool whole = false;   // and where they stand, where that was said
};

class SceneClassifier {
 public:
  // Trained on scenes of size x size pixels, or taken from the cache (kept_judge.h).
  SceneClassifier(std::int64_t size, const FeatureClassifierOptions& options);
  // images (N, size, size, 3) in [-1, 1], one for each scene; sizes are not judged.
  std::vector<SceneOpinion> judge(const std::vector<Scene>& asked, const Tensor& images) const;
  // (N, 128).
  Tensor features(const Tensor& images) const;

 private:
  SceneNetwork network_;
};

// Images (N, size, size, 3) in [-1, 1].
Tensor drawn_scenes(const std::vector<Scene>& scenes, std::int64_t size);

}  // namespace ebb::apps
