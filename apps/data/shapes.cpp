#include <ebb/apps/data/shapes.h>
#include <ebb/tensor/random/random.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace ebb::apps {
namespace {

constexpr double pi = std::numbers::pi;

// Signed distances to the edge of a shape that reaches about 1 from its middle: negative inside.
// For the formulas see Quilez, "2D distance functions".
double circle(double x, double y) { return std::hypot(x, y) - 1; }
double ring(double x, double y) { return std::abs(std::hypot(x, y) - 0.78) - 0.22; }
double box(double x, double y, double a, double b) {
  return std::max(std::abs(x) - a, std::abs(y) - b);
}
double square(double x, double y) { return box(x, y, 0.8, 0.8); }
double bar(double x, double y) { return box(x, y, 1, 0.3); }
double cross(double x, double y) { return std::min(box(x, y, 1, 0.28), box(x, y, 0.28, 1)); }
// `corners` corners on the unit circle; `inner` is how far the edges' middles are pulled in.
double star(double x, double y, int corners, double inner) {
  const double wedge = pi / corners;
  double angle = std::atan2(x, y);
  angle = std::abs(angle - 2 * wedge * std::round(angle / (2 * wedge)));
  const double r = std::hypot(x, y), px = r * std::cos(angle), py = r * std::sin(angle);
  // The edge from the corner (1, 0) to the inner point at angle `wedge`.
  const double ex = inner * std::cos(wedge) - 1, ey = inner * std::sin(wedge);
  return ((px - 1) * -ey + py * ex) * -1 / std::hypot(ex, ey);
}
double triangle(double x, double y) { return star(x, y, 3, 0.5); }
double hexagon(double x, double y) { return star(x, y, 6, std::cos(pi / 6)); }
double five_star(double x, double y) { return star(x, y, 5, 0.42); }
double crescent(double x, double y) {
  return std::max(circle(x, y), 0.85 - std::hypot(x - 0.45, y));
}
double half_disc(double x, double y) { return std::max(circle(x, y), y); }

struct Kind {
  const char* name;
  double (*distance)(double x, double y);
};
constexpr std::array<Kind, 10> kinds{{{"circle", circle},
                                      {"square", square},
                                      {"triangle", triangle},
                                      {"star", five_star},
                                      {"ring", ring},
                                      {"cross", cross},
                                      {"bar", bar},
                                      {"crescent", crescent},
                                      {"half-disc", half_disc},
                                      {"hexagon", hexagon}}};

// Hue in [0, 1) to RGB in [0, 1], full saturation.
std::array<double, 3> hue_color(double hue) {
  std::array<double, 3> result;
  for (int c = 0; c < 3; ++c) {
    const double h = std::fmod(hue * 6 + (c == 0 ? 0.0 : c == 1 ? 4.0 : 2.0), 6.0);
    result[c] = std::clamp(std::abs(h - 3) - 1, 0.0, 1.0);
  }
  return result;
}

DatasetInfo shapes_info(const DatasetOptions& options) {
  const std::int64_t size = options.size > 0 ? options.size : 32;
  DatasetInfo info{size, size, options.channels > 0 ? options.channels : 3, {}};
  for (const Kind& kind : kinds) info.class_names.emplace_back(kind.name);
  return info;
}

}  // namespace

Shapes::Shapes(const DatasetOptions& options, Split split)
    : Dataset(shapes_info(options)), split_(split) {}

void Shapes::read(std::int64_t index, std::uint8_t* pixels) const {
  const auto address =
      static_cast<std::uint64_t>(index) + (split_ == Split::test ? std::uint64_t{1} << 32 : 0);
  const std::vector<float> u =
      philox_uniform({1, 8}, {seed, Purpose::other, 0, address}).to_vector<float>();
  // In units of half the picture.
  const double radius = 0.35 + 0.3 * u[0];
  const double middle_x = (1 - radius) * (2 * u[1] - 1) * 0.9;
  const double middle_y = (1 - radius) * (2 * u[2] - 1) * 0.9;
  const double cosine = std::cos(2 * pi * u[3]), sine = std::sin(2 * pi * u[3]);
  std::array<double, 3> ink = hue_color(u[4]);
  const double light = 0.55 + 0.45 * u[5], paper = 0.25 * u[6];
  if (info().channels == 1) ink.fill(1);

  const double pixel = 2.0 / static_cast<double>(info().width);
  const auto distance = kinds[static_cast<std::size_t>(label(index))].distance;
  for (std::int64_t row = 0; row < info().height; ++row)
    for (std::int64_t column = 0; column < info().width; ++column) {
      const double x = ((static_cast<double>(column) + 0.5) * pixel - 1 - middle_x) / radius;
      const double y = ((static_cast<double>(row) + 0.5) * pixel - 1 - middle_y) / radius;
      const double d = distance(cosine * x + sine * y, cosine * y - sine * x) * radius;
      const double cover = std::clamp(0.5 - d / pixel, 0.0, 1.0);  // of this pixel
      for (std::int64_t c = 0; c < info().channels; ++c) {
        const double value = paper + cover * (light * (0.15 + 0.85 * ink[c]) - paper);
        *pixels++ = static_cast<std::uint8_t>(std::lround(255 * value));
      }
    }
}

}  // namespace ebb::apps
