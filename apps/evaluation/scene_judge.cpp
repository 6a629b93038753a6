#include <ebb/apps/evaluation/scene_judge.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ebb::apps {
namespace {

using Rgb = std::array<double, 3>;

// Least of a colour's strength for a pixel to be ink; least area of a thing and of an artifact, in
// shares of the picture; largest difference of a shape, in shares of its area.
constexpr double least_ink = 0.35, least_thing = 0.008, least_artifact = 0.003,
                 most_difference = 0.3;

struct Patch {
  int color = 0;
  double area = 0, x = 0, y = 0;  // of its ink; units of pixels
  std::vector<std::int64_t> pixels = {};
};

// The median gray of the picture's edge.
double paper_of(const std::vector<Rgb>& pixels, std::int64_t height, std::int64_t width) {
  std::vector<double> edge;
  for (std::int64_t i = 0; i < height * width; ++i) {
    const std::int64_t row = i / width, column = i % width;
    if (row != 0 && column != 0 && row != height - 1 && column != width - 1) continue;
    const Rgb& p = pixels[static_cast<std::size_t>(i)];
    edge.push_back((p[0] + p[1] + p[2]) / 3);
  }
  std::nth_element(edge.begin(), edge.begin() + edge.size() / 2, edge.end());
  return edge[edge.size() / 2];
}

// The colour whose direction from the paper is nearest, and how strong it is: 1 for full ink.
std::pair<int, double> ink_of(const Rgb& pixel, double paper) {
  double best = -2, strength = 0;
  int color = 0;
  for (int c = 0; c < static_cast<int>(scene_colors.size()); ++c) {
    const Rgb ink = scene_rgb(c);
    double dot = 0, ink_square = 0, pixel_square = 1e-12;
    for (std::size_t k = 0; k < 3; ++k) {
      dot += (pixel[k] - paper) * (ink[k] - paper);
      ink_square += (ink[k] - paper) * (ink[k] - paper);
      pixel_square += (pixel[k] - paper) * (pixel[k] - paper);
    }
    const double cosine = dot / std::sqrt(ink_square * pixel_square);
    if (cosine <= best) continue;
    best = cosine;
    color = c;
    strength = dot / ink_square;
  }
  return {color, strength};
}

// Area of a shape of radius 1 and where its middle of mass lies below its middle.
struct Mass {
  double area = 0, y = 0;
};
const Mass& mass_of(SceneShape shape) {
  static const std::array<Mass, scene_shapes.size()> masses = [] {
    std::array<Mass, scene_shapes.size()> result;
    constexpr int steps = 400;
    constexpr double step = 2.2 / steps;
    for (std::size_t s = 0; s < result.size(); ++s) {
      for (int i = 0; i < steps * steps; ++i) {
        const double x = -1.1 + (i % steps + 0.5) * step, y = -1.1 + (i / steps + 0.5) * step;
        if (scene_distance(static_cast<SceneShape>(s), x, y) > 0) continue;
        result[s].area += step * step;
        result[s].y += y * step * step;
      }
      result[s].y /= result[s].area;
    }
    return result;
  }();
  return masses[static_cast<std::size_t>(shape)];
}

struct Picture {
  std::int64_t height, width;
  std::vector<int> color;
  std::vector<double> ink;  // 0 to 1
};

std::vector<Patch> patches_of(const Picture& picture) {
  const std::int64_t height = picture.height, width = picture.width;
  std::vector<bool> taken(picture.ink.size());
  std::vector<Patch> patches;
  for (std::int64_t first = 0; first < height * width; ++first) {
    if (taken[first] || picture.ink[first] < least_ink) continue;
    Patch patch{picture.color[first]};
    std::vector<std::int64_t> open{first};
    taken[first] = true;
    while (!open.empty()) {
      const std::int64_t at = open.back(), row = at / width, column = at % width;
      open.pop_back();
      patch.pixels.push_back(at);
      const auto visit = [&](std::int64_t r, std::int64_t c) {
        if (r < 0 || c < 0 || r >= height || c >= width) return;
        const std::int64_t to = r * width + c;
        if (taken[to] || picture.ink[to] < least_ink || picture.color[to] != patch.color) return;
        taken[to] = true;
        open.push_back(to);
      };
      visit(row - 1, column);
      visit(row + 1, column);
      visit(row, column - 1);
      visit(row, column + 1);
    }
    patches.push_back(std::move(patch));
  }
  return patches;
}

// The ink of a patch with its faint rim: all of its colour within a pixel of it.
std::vector<double> ink_around(const Picture& picture, Patch& patch) {
  std::vector<double> ink(picture.ink.size());
  for (const std::int64_t at : patch.pixels)
    for (std::int64_t r = at / picture.width - 1; r <= at / picture.width + 1; ++r)
      for (std::int64_t c = at % picture.width - 1; c <= at % picture.width + 1; ++c) {
        if (r < 0 || c < 0 || r >= picture.height || c >= picture.width) continue;
        const std::int64_t to = r * picture.width + c;
        if (picture.color[to] == patch.color) ink[to] = picture.ink[to];
      }
  for (std::int64_t i = 0; i < std::ssize(ink); ++i) {
    patch.area += ink[i];
    patch.x += ink[i] * (static_cast<double>(i % picture.width) + 0.5);
    patch.y += ink[i] * (static_cast<double>(i / picture.width) + 0.5);
  }
  patch.x /= patch.area;
  patch.y /= patch.area;
  return ink;
}

// The share of its area by which a shape with the patch's middle and area differs from it.
double difference(const Picture& picture, const Patch& patch, const std::vector<double>& ink,
                  SceneShape shape, SceneThing& thing) {
  const Mass& mass = mass_of(shape);
  const double radius = std::sqrt(patch.area / mass.area), middle_y = patch.y - mass.y * radius;
  double sum = 0;
  for (std::int64_t i = 0; i < std::ssize(ink); ++i) {
    const double x = static_cast<double>(i % picture.width) + 0.5 - patch.x;
    const double y = static_cast<double>(i / picture.width) + 0.5 - middle_y;
    const double cover =
        std::clamp(0.5 - scene_distance(shape, x / radius, y / radius) * radius, 0.0, 1.0);
    sum += std::abs(cover - ink[i]);
  }
  const double half = static_cast<double>(picture.width) / 2;
  thing = {patch.color, shape, patch.x / half - 1, middle_y / half - 1, radius / half};
  return sum / patch.area;
}

// How often each value of `of` occurs.
template <class Of>
std::vector<int> counts(const std::vector<SceneThing>& things, Of of) {
  std::vector<int> result(scene_shapes.size() * scene_colors.size());
  for (const SceneThing& thing : things) ++result[static_cast<std::size_t>(of(thing))];
  return result;
}

bool related(const Scene& asked, const SceneReading& found) {
  if (asked.relation == SceneRelation::none) return true;
  const auto find = [&](const SceneThing& wanted) {
    return *std::find_if(found.things.begin(), found.things.end(),
                         [&](const SceneThing& t) { return t.kind() == wanted.kind(); });
  };
  const bool horizontal = is_horizontal(asked.relation), mirrored = is_mirrored(asked.relation);
  const SceneThing first = find(asked.things[0]);
  if (asked.things.size() == 1) return ((horizontal ? first.x : first.y) < 0) != mirrored;
  const bool alike = asked.things[0].kind() == asked.things[1].kind();
  const SceneThing second = alike ? found.things[1] : find(asked.things[1]);
  double along = second.x - first.x, across = second.y - first.y;
  if (!horizontal) std::swap(along, across);
  return std::abs(along) >= std::abs(across) && (alike || (along > 0) != mirrored);
}

}  // namespace

SceneReading read_scene(const Tensor& image) {
  check(image.rank() == 3 && image.size(2) == 3, "scene judge: image {}; (H, W, 3) is needed",
        image.shape());
  const std::int64_t height = image.size(0), width = image.size(1);
  const std::vector<float> values = image.to_vector<float>();
  std::vector<Rgb> pixels(static_cast<std::size_t>(height * width));
  for (std::size_t i = 0; i < pixels.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c)
      pixels[i][c] = std::clamp((static_cast<double>(values[3 * i + c]) + 1) / 2, 0.0, 1.0);
  const double paper = paper_of(pixels, height, width);
  Picture picture{height, width, {}, {}};
  for (const Rgb& pixel : pixels) {
    const auto [color, strength] = ink_of(pixel, paper);
    picture.color.push_back(color);
    picture.ink.push_back(std::clamp(strength, 0.0, 1.0));
  }
  SceneReading reading;
  const double all = static_cast<double>(height * width);
  for (Patch& patch : patches_of(picture)) {
    const std::vector<double> ink = ink_around(picture, patch);
    if (patch.area < least_artifact * all) continue;
    SceneThing best;
    double least = most_difference;
    for (std::size_t s = 0; s < scene_shapes.size(); ++s) {
      SceneThing thing;
      const double d = difference(picture, patch, ink, static_cast<SceneShape>(s), thing);
      if (d >= least) continue;
      least = d;
      best = thing;
    }
    if (least < most_difference && patch.area >= least_thing * all)
      reading.things.push_back(best);
    else
      ++reading.artifacts;
  }
  return reading;
}

SceneVerdict judge_scene(const Scene& asked, const SceneReading& found) {
  const auto same = [&](auto of) { return counts(asked.things, of) == counts(found.things, of); };
  SceneVerdict v;
  v.colors = same([](const SceneThing& t) { return t.color; });
  v.shapes = same([](const SceneThing& t) { return static_cast<int>(t.shape); });
  v.things = same([](const SceneThing& t) { return t.kind(); });
  v.relation = v.things && related(asked, found);
  constexpr double between = 0.36;  // radius of the largest small and the smallest large
  v.size = v.relation && (asked.size == SceneSize::unsaid ||
                          (asked.size == SceneSize::small) == (found.things[0].radius < between));
  v.clean = found.artifacts == 0;
  v.whole = v.size && v.clean;
  return v;
}

}  // namespace ebb::apps
