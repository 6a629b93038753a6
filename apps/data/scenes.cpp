#include <ebb/apps/data/scenes.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <cmath>

namespace ebb::apps {
namespace {

constexpr std::uint64_t scenes_seed = 0;
constexpr int shape_count = static_cast<int>(scene_shapes.size());
constexpr int color_count = static_cast<int>(scene_colors.size());

// Uniform numbers of one scene, as many as are asked for.
class Draws {
 public:
  Draws(std::uint64_t stream, std::uint64_t index) : stream_(stream), index_(index) {}
  double in(double low, double high) { return low + (high - low) * next(); }
  int below(int n) { return std::min(n - 1, static_cast<int>(next() * n)); }

 private:
  double next() {
    if (at_ == numbers_.size()) {
      numbers_ = philox_uniform(
                     {1, 64}, {scenes_seed, Purpose::other, 1 + stream_ * 4096 + round_++, index_})
                     .to_vector<float>();
      at_ = 0;
    }
    return numbers_[at_++];
  }

  std::uint64_t stream_, index_, round_ = 0;
  std::vector<float> numbers_;
  std::size_t at_ = 0;
};

SceneThing any_thing(Draws& draws) {
  SceneThing thing;
  thing.color = draws.below(color_count);
  thing.shape = static_cast<SceneShape>(draws.below(shape_count));
  return thing;
}

SceneRelation any_relation(Draws& draws) { return static_cast<SceneRelation>(1 + draws.below(4)); }

// Red triangles, green crosses, blue squares and yellow circles.
bool thing_kept_out(const SceneThing& thing) {
  constexpr std::array<int, 4> shape_of_color{2, 3, 1, 0};
  return thing.color < 4 &&
         static_cast<int>(thing.shape) == shape_of_color[static_cast<std::size_t>(thing.color)];
}

bool pair_kept_out(const SceneThing& a, const SceneThing& b) {
  const auto [low, high] = std::minmax({a.kind(), b.kind()});
  return low != high && (5 * low + 3 * high) % 7 == 0;
}

// A place within the picture for each, apart from the others; a few are tried.
void place_apart(std::vector<SceneThing>& things, Draws& draws, double low, double high) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    bool apart = true;
    for (std::size_t i = 0; i < things.size(); ++i) {
      SceneThing& t = things[i];
      t.radius = draws.in(low, high);
      t.x = draws.in(t.radius - 0.95, 0.95 - t.radius);
      t.y = draws.in(t.radius - 0.95, 0.95 - t.radius);
      for (std::size_t j = 0; j < i; ++j)
        apart = apart && std::max(std::abs(t.x - things[j].x), std::abs(t.y - things[j].y)) >
                             t.radius + things[j].radius + 0.1;
    }
    if (apart) return;
  }
}

void place_related(std::vector<SceneThing>& things, SceneRelation relation, Draws& draws) {
  for (SceneThing& t : things) t.radius = draws.in(0.22, 0.36);
  const double between = things[0].radius + things[1].radius;
  const double along = draws.in(between + 0.12, 1.86 - between),
               across = draws.in(-0.3, 0.3) * along;
  // From the first to the second, and where the two lie together.
  const double room_along = 1.9 - along - between;
  const double start = -0.95 + things[0].radius + draws.in(0, std::max(0.0, room_along));
  const double most = 0.95 - std::max(things[0].radius, things[1].radius) - std::abs(across) / 2;
  const double middle = draws.in(-most, most);
  const bool horizontal = is_horizontal(relation);
  const bool mirrored = is_mirrored(relation);
  for (int i = 0; i < 2; ++i) {
    const double a = (mirrored ? -1 : 1) * (start + i * along), b = middle + (i - 0.5) * across;
    things[static_cast<std::size_t>(i)].x = horizontal ? a : b;
    things[static_cast<std::size_t>(i)].y = horizontal ? b : a;
  }
}

// Into the half of the picture that the relation names.
void place_in_half(SceneThing& thing, SceneRelation relation, Draws& draws) {
  (is_horizontal(relation) ? thing.x : thing.y) =
      (is_mirrored(relation) ? 1 : -1) * draws.in(0.15, 0.95 - thing.radius);
}

Scene any_scene(Draws& draws) {
  Scene scene;
  scene.paper = draws.in(0.04, 0.18);
  const double sort = draws.in(0, 1);
  const std::size_t count = sort < 0.3 ? 1 : sort < 0.85 ? 2 : 3;
  for (std::size_t i = 0; i < count; ++i) scene.things.push_back(any_thing(draws));
  if (count == 1) {
    scene.size = static_cast<SceneSize>(draws.below(3));
    const auto [low, high] = scene.size == SceneSize::small   ? std::pair(0.2, 0.28)
                             : scene.size == SceneSize::large ? std::pair(0.45, 0.62)
                                                              : std::pair(0.24, 0.5);
    place_apart(scene.things, draws, low, high);
    if (draws.below(2) == 0) {
      scene.relation = any_relation(draws);
      place_in_half(scene.things[0], scene.relation, draws);
    }
  } else if (sort < 0.45) {  // alike: two, or three
    scene.things.resize(draws.below(2) == 0 ? 2 : 3, scene.things[0]);
    std::fill(scene.things.begin(), scene.things.end(), scene.things[0]);
    place_apart(scene.things, draws, 0.2, 0.3);
  } else if (count == 2) {
    scene.relation = any_relation(draws);
    place_related(scene.things, scene.relation, draws);
  } else {
    place_apart(scene.things, draws, 0.2, 0.3);
  }
  return scene;
}

std::string name_of(const SceneThing& thing) {
  return fmt::format("{} {}", scene_colors[static_cast<std::size_t>(thing.color)],
                     scene_shapes[static_cast<std::size_t>(thing.shape)]);
}

bool all_alike(const Scene& scene) {
  return std::all_of(scene.things.begin(), scene.things.end(), [&](const SceneThing& thing) {
    return thing.kind() == scene.things[0].kind();
  });
}

DatasetInfo scenes_info(const DatasetOptions& options) {
  check_usage(options.channels == 0 || options.channels == 3,
              "scenes: {} channels; they are coloured, leave --channels out", options.channels);
  const std::int64_t size = options.size > 0 ? options.size : 32;
  check_usage(size >= 16, "scenes: {} pixels a side; 16 are needed to tell shapes apart", size);
  return {size, size, 3, {}, true};
}

}  // namespace

bool is_horizontal(SceneRelation relation) {
  return relation == SceneRelation::left_of || relation == SceneRelation::right_of;
}

bool is_mirrored(SceneRelation relation) {
  return relation == SceneRelation::right_of || relation == SceneRelation::below;
}

std::array<double, 3> scene_rgb(int color) {
  constexpr std::array<std::array<double, 3>, color_count> colors{{{0.90, 0.15, 0.15},
                                                                   {0.15, 0.70, 0.20},
                                                                   {0.20, 0.35, 0.95},
                                                                   {0.95, 0.85, 0.15},
                                                                   {0.65, 0.20, 0.80},
                                                                   {0.95, 0.95, 0.95}}};
  return colors.at(static_cast<std::size_t>(color));
}

SceneKind kind_of(const Scene& scene) {
  const std::vector<SceneThing>& things = scene.things;
  if (std::any_of(things.begin(), things.end(), thing_kept_out)) return SceneKind::unseen_thing;
  for (std::size_t i = 0; i < things.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (pair_kept_out(things[i], things[j])) return SceneKind::unseen_pair;
  return SceneKind::seen;
}

Scene make_scene(std::uint64_t stream, std::uint64_t index, SceneKind kind) {
  Draws draws(stream, index);
  for (;;) {
    Scene scene = any_scene(draws);
    if (kind_of(scene) == kind) return scene;
  }
}

std::string caption_of(const Scene& scene) {
  const std::vector<SceneThing>& things = scene.things;
  const auto a = [&](std::size_t i) { return "a " + name_of(things[i]); };
  if (things.size() == 1) {
    constexpr std::array<std::string_view, 3> sizes{"", "small ", "large "};
    constexpr std::array<std::string_view, 5> places{"", " on the left", " on the right",
                                                     " at the top", " at the bottom"};
    return fmt::format("a {}{}{}", sizes[static_cast<std::size_t>(scene.size)], name_of(things[0]),
                       places[static_cast<std::size_t>(scene.relation)]);
  }
  if (scene.relation != SceneRelation::none) {
    constexpr std::array<std::string_view, 5> relations{"", "left of", "right of", "above",
                                                        "below"};
    return fmt::format("{} {} {}", a(0), relations[static_cast<std::size_t>(scene.relation)], a(1));
  }
  if (all_alike(scene)) {
    const bool cross = things[0].shape == SceneShape::cross;
    return fmt::format("{} {}{}", things.size() == 2 ? "two" : "three", name_of(things[0]),
                       cross ? "es" : "s");
  }
  return fmt::format("{}, {} and {}", a(0), a(1), a(2));
}

double scene_distance(SceneShape shape, double x, double y) {
  const auto box = [&](double width, double height) {
    return std::max(std::abs(x) - width, std::abs(y) - height);
  };
  switch (shape) {
    case SceneShape::circle:
      return std::hypot(x, y) - 1;
    case SceneShape::square:
      return box(0.88, 0.88);
    case SceneShape::triangle:  // its base at y = 0.85, its top at -1
      return std::max(y - 0.85, (2 * std::abs(x) - (y + 1)) / std::sqrt(5.0));
    case SceneShape::cross:
      return std::min(box(1, 0.32), box(0.32, 1));
  }
  fail("scene: no such shape");
}

void draw_scene(const Scene& scene, std::int64_t size, std::uint8_t* pixels) {
  const double pixel = 2.0 / static_cast<double>(size);
  for (std::int64_t row = 0; row < size; ++row)
    for (std::int64_t column = 0; column < size; ++column) {
      const double x = (static_cast<double>(column) + 0.5) * pixel - 1;
      const double y = (static_cast<double>(row) + 0.5) * pixel - 1;
      std::array<double, 3> value{scene.paper, scene.paper, scene.paper};
      for (const SceneThing& thing : scene.things) {
        const double d = scene_distance(thing.shape, (x - thing.x) / thing.radius,
                                        (y - thing.y) / thing.radius) *
                         thing.radius;
        const double cover = std::clamp(0.5 - d / pixel, 0.0, 1.0);  // of this pixel
        const std::array<double, 3> ink = scene_rgb(thing.color);
        for (std::size_t c = 0; c < 3; ++c) value[c] += cover * (ink[c] - value[c]);
      }
      for (const double v : value) *pixels++ = static_cast<std::uint8_t>(std::lround(255 * v));
    }
}

Scenes::Scenes(const DatasetOptions& options, Split split)
    : Dataset(scenes_info(options)), split_(split) {}

Scene Scenes::scene(std::int64_t index) const {
  return make_scene(split_ == Split::train ? scene_train : scene_test,
                    static_cast<std::uint64_t>(index));
}

void Scenes::read(std::int64_t index, std::uint8_t* pixels) const {
  draw_scene(scene(index), info().width, pixels);
}

}  // namespace ebb::apps
