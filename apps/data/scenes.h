// Pictures of one to three coloured shapes, drawn by formula, and what each shows in words: "a
// large red circle", "a blue cross on the left", "two blue squares", "a white cross left of a green
// triangle", "a red circle, a blue cross and a yellow square". Needs no files; picture i is a
// function of i alone and of its size.
//
// Some compositions never occur in training, to be asked for afterwards: four of the 24 pairs of
// colour and shape, and every seventh pair of things (scene_kept_out).
#pragma once

#include <ebb/apps/data/dataset.h>

#include <array>

namespace ebb::apps {

enum class SceneShape : std::uint8_t { circle, square, triangle, cross };
inline constexpr std::array<std::string_view, 4> scene_shapes{"circle", "square", "triangle",
                                                              "cross"};
inline constexpr std::array<std::string_view, 6> scene_colors{"red",    "green",  "blue",
                                                              "yellow", "purple", "white"};
// RGB in [0, 1].
std::array<double, 3> scene_rgb(int color);

// A thing of a scene. Its middle and radius are in units of half the picture, x to the right and y
// down from the picture's middle.
struct SceneThing {
  int color = 0;
  SceneShape shape = SceneShape::circle;
  double x = 0, y = 0, radius = 0;

  int kind() const {
    return color * static_cast<int>(scene_shapes.size()) + static_cast<int>(shape);
  }
};

enum class SceneRelation : std::uint8_t { none, left_of, right_of, above, below };
bool is_horizontal(SceneRelation relation);  // left or right of
bool is_mirrored(SceneRelation relation);    // right of or below
enum class SceneSize : std::uint8_t { unsaid, small, large };

struct Scene {
  std::vector<SceneThing> things;
  // Of the first thing to the second; of a thing alone, to the picture's middle.
  SceneRelation relation = SceneRelation::none;
  SceneSize size = SceneSize::unsaid;  // of a thing alone
  double paper = 0.1;                  // gray of the background
};

// What a scene must have to occur in training, or not to.
enum class SceneKind : std::uint8_t { seen, unseen_thing, unseen_pair };
SceneKind kind_of(const Scene& scene);
// Scene `index` of a stream; streams share no scenes but by chance.
Scene make_scene(std::uint64_t stream, std::uint64_t index, SceneKind kind = SceneKind::seen);
// Streams of the splits, and of those who ask for more.
constexpr std::uint64_t scene_train = 0, scene_test = 1, scene_asked = 2;

std::string caption_of(const Scene& scene);
// How much of a point at (x, y) from its middle, in units of its radius, lies how far inside a
// shape: the signed distance to its edge, negative inside.
double scene_distance(SceneShape shape, double x, double y);
// size x size x 3 bytes.
void draw_scene(const Scene& scene, std::int64_t size, std::uint8_t* pixels);

class Scenes final : public Dataset {
 public:
  // 60,000 scenes for training and 10,000 others for tests, all of SceneKind::seen. options.size:
  // 32 unless given, 16 or more; options.channels: 3, other numbers are an Error.
  Scenes(const DatasetOptions& options, Split split);
  std::int64_t size() const override { return split_ == Split::train ? 60'000 : 10'000; }
  std::string caption(std::int64_t index) const override { return caption_of(scene(index)); }
  Scene scene(std::int64_t index) const;

 private:
  void read(std::int64_t index, std::uint8_t* pixels) const override;
  std::int64_t label(std::int64_t) const override { return 0; }

  Split split_;
};

}  // namespace ebb::apps
