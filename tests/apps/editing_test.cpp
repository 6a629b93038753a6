// What `ebb sample` and `ebb plot samplers` do with a trained model, by the program itself.
#include <doctest/doctest.h>
#include <ebb/apps/commands/edit_flags.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/images/text.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

using namespace ebb;
using apps::Image;
using apps::read_png;
using apps::write_png;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace {

using Arguments = std::vector<std::string>;

const std::string& tiny_run() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    test::succeed({"train", "--data", "shapes", "--size", "8", "--channels", "1", "--batch", "4",
                   "--out", folder / "run", "--preset", "tiny", "--steps", "2", "--log-every",
                   "1"});
    return folder / "run";
  }();
  return path;
}

Outcome sample(const std::string& out, const Arguments& more) {
  Arguments arguments{"sample", tiny_run(), "--out", out, "--steps", "4"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

Tensor sampled(const Arguments& more) {
  const TemporaryFolder folder;
  const Outcome outcome = sample(folder / "x.npy", more);
  REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  return read_npy(folder / "x.npy");
}

void check_picture(const Arguments& more, std::int64_t rows, std::int64_t columns) {
  const TemporaryFolder folder;
  const Outcome outcome = sample(folder / "x.png", more);
  REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  const Image image = read_png(folder / "x.png");
  // Images of 8 pixels grow by 8, with 2 white ones between them.
  CHECK(image.height == (rows * 10 - 2) * 8);
  CHECK(image.width == (columns * 10 - 2) * 8);
}

}  // namespace

TEST_SUITE_BEGIN("apps editing");

TEST_CASE("sample --sampler list names them all, a line each") {
  const Outcome outcome = run_program({"sample", "--sampler", "list"});
  CHECK(outcome.code == 0);
  for (const SamplerInfo& info : samplers())
    CHECK(outcome.out.find(std::string(info.name) + " ") != std::string::npos);
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') ==
        static_cast<std::ptrdiff_t>(samplers().size()));
}

TEST_CASE("sample --interpolate: rows whose ends are plain samples") {
  const Tensor way = sampled({"--interpolate", "5", "--count", "10", "--classes", "3,4"});
  const Tensor plain = sampled({"--count", "4", "--classes", "3,3,4,4"});
  const auto row = [](const Tensor& x, std::int64_t i) { return slice(x, 0, i, i + 1); };
  CHECK(relative_error(row(way, 0), row(plain, 0)) < 1e-5);
  CHECK(relative_error(row(way, 4), row(plain, 1)) < 1e-5);
  CHECK(relative_error(row(way, 5), row(plain, 2)) < 1e-5);
  CHECK(relative_error(row(way, 9), row(plain, 3)) < 1e-5);
  check_picture({"--interpolate", "5", "--count", "10"}, 2, 5);
}

TEST_CASE("sample --strength: the less, the nearer to the image") {
  const Tensor data = sampled({"--from", "data", "--mask", "left", "--count", "3"});
  const Tensor little = sampled({"--from", "data", "--strength", "0.25", "--count", "3"});
  const Tensor much = sampled({"--from", "data", "--strength", "1", "--count", "3"});
  // Where the mask keeps it, inpainting returns the image itself.
  const Tensor right = slice(data, 2, 4, 8);
  CHECK(relative_error(slice(little, 2, 4, 8), right) <
        relative_error(slice(much, 2, 4, 8), right));
  check_picture({"--from", "data", "--strength", "0.5", "--count", "3"}, 2, 3);
}

TEST_CASE("sample --mask: what is kept is kept to the bit") {
  const TemporaryFolder folder;
  Image photo{8, 8, 3, std::vector<std::uint8_t>(8 * 8 * 3, 200)};
  write_png(folder / "photo.png", photo);
  Image hole{8, 8, 1, std::vector<std::uint8_t>(64, 255)};
  for (int i = 0; i < 24; ++i) hole.pixels[static_cast<std::size_t>(i)] = 0;
  write_png(folder / "hole.png", hole);
  const Tensor x = sampled({"--from", folder / "photo.png", "--mask", folder / "hole.png",
                            "--count", "2", "--resample", "2"});
  const std::vector<float> kept = slice(x, 1, 3, 8).to_vector<float>();
  for (const float value : kept) CHECK(value == apps::to_float(200));
  const std::vector<float> painted = slice(x, 1, 0, 3).to_vector<float>();
  CHECK(std::count(painted.begin(), painted.end(), apps::to_float(200)) < 10);
  check_picture({"--from", "data", "--mask", "center", "--count", "2"}, 2, 2);
}

TEST_CASE("sample --reconstruct: source, latent and the way back") {
  check_picture(
      {"--from", "data", "--reconstruct", "--guidance", "1", "--clip", "none", "--count", "12"}, 6,
      10);
}

TEST_CASE("sample: uses that contradict each other, or miss something, are told") {
  const auto refused = [](const Arguments& more, const std::string& word) {
    const TemporaryFolder folder;
    const Outcome outcome = sample(folder / "x.png", more);
    CHECK(outcome.code == 2);
    CHECK_MESSAGE(outcome.err.find(word) != std::string::npos, outcome.err);
  };
  refused({"--strength", "0.5"}, "--from");
  refused({"--from", "data"}, "--strength, --mask or --reconstruct");
  refused({"--from", "data", "--strength", "2"}, "at most 1");
  refused({"--from", "data", "--mask", "middle"}, "center");
  refused({"--interpolate", "1"}, "2 or more");
  refused({"--from", "data", "--mask", "left", "--reconstruct"}, "give one");
  refused({"--from", "data", "--mask", "left", "--resample", "0"}, "1 or more");
}

TEST_CASE("plot samplers: a row for each, with its name") {
  const TemporaryFolder folder;
  test::succeed({"plot", "samplers", tiny_run(), "--out", folder / "all.png", "--steps", "1,2",
                 "--count", "2"});
  const Image image = read_png(folder / "all.png");
  const auto rows = static_cast<std::int64_t>(samplers().size());
  CHECK(image.height == (rows * 10 - 2) * 2 + apps::text_height(2) + 4);
  CHECK(image.width > 4 * 10 * 2 - 4 + apps::text_width("ddpm", 2));
}

TEST_CASE("text is drawn within the image alone") {
  Image image{5, 8, 1, std::vector<std::uint8_t>(40, 255)};
  apps::draw_text(image, 0, 0, "l1", 1);
  std::string drawn;
  for (std::size_t i = 0; i < 40; ++i) drawn += image.pixels[i] == 0 ? '#' : '.';
  CHECK(drawn ==
        "#....#.."
        "#...##.."
        "#....#.."
        "#....#.."
        "###.###.");
  apps::draw_text(image, -2, -3, "WWWWWWWW", 3);
  CHECK(image.pixels.size() == 40);
}

TEST_SUITE_END();
