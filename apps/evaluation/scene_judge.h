// What a picture of a scene shows, by formula, and whether it is what was asked for.
#pragma once

#include <ebb/apps/data/scenes.h>

namespace ebb::apps {

struct SceneReading {
  std::vector<SceneThing> things;
  // Patches of colour that are none of the shapes, or too small to be a thing.
  int artifacts = 0;
};
// image (H, W, 3) float32 in [-1, 1], on the host. A patch is what hangs together of one colour (by
// direction from the background, so that it may fade towards its edge); its shape is the one that,
// drawn with the patch's middle and area, differs least from it.
SceneReading read_scene(const Tensor& image);

// Each holds only if those before it do, but for colors and shapes.
struct SceneVerdict {
  bool colors = false;    // the colours that were asked for, each as often
  bool shapes = false;    // the same of shapes
  bool things = false;    // colours on the shapes that they belong to, and as many
  bool relation = false;  // where they stand, where that was said
  bool size = false;      // small or large, where that was said
  bool whole = false;     // all of it
  bool clean = false;     // without artifacts
};
SceneVerdict judge_scene(const Scene& asked, const SceneReading& found);

}  // namespace ebb::apps
