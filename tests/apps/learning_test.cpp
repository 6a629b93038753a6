// A network learns from every data set: the loss of training falls. The files hold shapes, in each
// format.
#include <doctest/doctest.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/ops/layout.h>
#include <tests/apps/program.h>
#include <tests/apps/raw_png.h>
#include <tests/temporary_folder.h>

#include <filesystem>

using namespace ebb;
using namespace ebb::apps;
using ebb::test::TemporaryFolder;

namespace {

constexpr std::int64_t learning_images = 100;

Batch some_shapes(std::int64_t size, std::int64_t channels) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < learning_images; ++i) indices.push_back(i);
  return open_dataset({.data = "shapes", .size = size, .channels = channels}, Split::train)
      ->batch(indices);
}

std::string bytes_of(const Tensor& image) {
  const Image pixels = to_image(image);
  return {pixels.pixels.begin(), pixels.pixels.end()};
}

Tensor image_at(const Batch& batch, std::int64_t i) {
  const Shape& s = batch.images.shape();
  return slice(batch.images, 0, i, i + 1).reshape({s[1], s[2], s[3]});
}

// Trains on `data` for 120 steps; the loss of the last ten is below `factor` of the first ten.
// Colours, which a network so small hardly foresees, leave more of it.
constexpr double in_colour = 0.9;
void check_learns(const std::vector<std::string>& data, const TemporaryFolder& folder,
                  double factor = 0.7) {
  const std::string out = folder / "run";
  std::vector<std::string> arguments{
      "train", "--out",       out,   "--preset",     "tiny", "--batch",
      "16",    "--steps",     "120", "--warmup",     "5",    "--lr",
      "0.01",  "--log-every", "10",  "--save-every", "1000"};
  arguments.insert(arguments.end(), data.begin(), data.end());
  test::succeed(arguments);
  const std::vector<nlohmann::json> metrics = RunFolder::open(out).metrics();
  REQUIRE(metrics.size() == 12);
  const double first = metrics.front()["loss"], last = metrics.back()["loss"];
  CAPTURE(first);
  CHECK(last < factor * first);
}

}  // namespace

TEST_SUITE_BEGIN("apps learning");

TEST_CASE("shapes, and with min-SNR weights") {
  const TemporaryFolder folder, weighted;
  const std::vector<std::string> shapes{"--data", "shapes", "--size", "8", "--channels", "1"};
  check_learns(shapes, folder);
  std::vector<std::string> more = shapes;
  more.insert(more.end(), {"--loss-weight", "min_snr"});
  check_learns(more, weighted);
  const double plain = RunFolder::open(folder / "run").metrics()[0]["loss"];
  const RunFolder run = RunFolder::open(weighted / "run");
  CHECK(run.config().objective.weight.kind == LossWeight::Kind::min_snr);
  CHECK(run.metrics()[0]["loss"] < 0.9 * plain);
}

TEST_CASE("IDX files") {
  const TemporaryFolder folder, files;
  const Batch batch = some_shapes(8, 1);
  std::string images = std::string("\0\0\x08\x03", 4) + test::big_endian(learning_images) +
                       test::big_endian(8) + test::big_endian(8);
  std::string labels = std::string("\0\0\x08\x01", 4) + test::big_endian(learning_images);
  for (std::int64_t i = 0; i < learning_images; ++i) {
    images += bytes_of(image_at(batch, i));
    labels += static_cast<char>(i % 10);
  }
  write_file(files / "train-images-idx3-ubyte", images);
  write_file(files / "train-labels-idx1-ubyte", labels);
  check_learns({"--data", "mnist", "--data-dir", files.path().string()}, folder);
}

TEST_CASE("CIFAR-10's binary files") {
  const TemporaryFolder folder, files;
  const Tensor planes = permute(some_shapes(32, 3).images, {0, 3, 1, 2});
  for (int part = 0; part < 5; ++part) {
    std::string records;
    for (std::int64_t i = part * 20; i < part * 20 + 20; ++i) {
      records += static_cast<char>(i % 10);
      records += bytes_of(slice(planes, 0, i, i + 1).reshape({3 * 32, 32, 1}));
    }
    write_file(files / fmt::format("data_batch_{}.bin", part + 1), records);
  }
  check_learns({"--data", "cifar10", "--data-dir", files.path().string(), "--size", "8"}, folder,
               in_colour);
}

TEST_CASE("a folder of PNG files, larger ones made smaller") {
  const TemporaryFolder folder, files;
  const Batch batch = some_shapes(16, 3);
  for (std::int64_t i = 0; i < learning_images; ++i) {
    const std::string name = files / fmt::format("class{}", i % 2);
    std::filesystem::create_directories(name);
    write_png(name + fmt::format("/{:03}.png", i), to_image(image_at(batch, i)));
  }
  check_learns({"--data", files.path().string(), "--size", "8"}, folder, in_colour);
}

TEST_CASE("Fashion-MNIST, where it is installed") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    MESSAGE("skipped: Debian's dataset-fashion-mnist is not installed");
    return;
  }
  const TemporaryFolder folder;
  check_learns({"--data", "fashion-mnist", "--size", "8"}, folder);
}

TEST_SUITE_END();
