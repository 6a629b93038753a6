#include <doctest/doctest.h>
#include <ebb/apps/data/dataset.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/atomic_file.h>
#include <tests/apps/raw_png.h>
#include <tests/temporary_folder.h>

#include <algorithm>

using namespace ebb;
using namespace ebb::apps;
using ebb::test::big_endian;
using ebb::test::TemporaryFolder;
using namespace std::string_literals;

namespace {

std::string gzipped(const std::string& text) {
  const TemporaryFolder folder;
  gzFile file = gzopen((folder / "x").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  std::string result;
  std::FILE* raw = std::fopen((folder / "x").c_str(), "rb");
  for (int c; (c = std::fgetc(raw)) != EOF;) result += static_cast<char>(c);
  std::fclose(raw);
  return result;
}

// Three images of 2 x 3 whose bytes count up, labels 4, 0, 9.
const std::string idx_images =
    "\0\0\x08\x03"s + big_endian(3) + big_endian(2) + big_endian(3) +
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\xFF"s;
const std::string idx_labels = "\0\0\x08\x01"s + big_endian(3) + "\4\0\x09"s;

// Writes both files (train-images-idx3-ubyte + `end`, ...) and opens them as MNIST.
std::unique_ptr<Dataset> mnist(const std::string& images, const std::string& labels,
                               const std::string& end = "") {
  const TemporaryFolder folder;
  write_file(folder / ("train-images-idx3-ubyte" + end), images);
  write_file(folder / ("train-labels-idx1-ubyte" + end), labels);
  return open_dataset({"mnist", folder.path().string()}, Split::train);
}

void refused(const std::string& images, const std::string& labels, const char* why,
             const std::string& end = "") {
  CHECK_THROWS_WITH_AS(mnist(images, labels, end), doctest::Contains(why), Error);
}

Image flat(std::int64_t height, std::int64_t width, const std::vector<std::uint8_t>& color) {
  Image image{height, width, static_cast<std::int64_t>(color.size()), {}};
  for (std::int64_t i = 0; i < height * width; ++i)
    for (const std::uint8_t value : color) image.pixels.push_back(value);
  return image;
}

void folders(const TemporaryFolder& root, const std::vector<std::string>& names) {
  for (const std::string& name : names) std::filesystem::create_directories(root / name);
}

std::unique_ptr<Dataset> open_folder(const TemporaryFolder& folder, Split split = Split::train,
                                     std::int64_t size = 0, std::int64_t channels = 0) {
  return open_dataset({folder.path().string(), "", size, channels}, split);
}

}  // namespace

TEST_SUITE_BEGIN("apps dataset");

TEST_CASE("idx: images and labels, gzipped or not") {
  for (const bool packed : {false, true}) {
    const auto data = packed ? mnist(gzipped(idx_images), gzipped(idx_labels), ".gz")
                             : mnist(idx_images, idx_labels);
    CHECK(data->size() == 3);
    CHECK(data->classes() == 10);
    const Batch batch = data->batch({2, 0});
    CHECK(batch.images.shape() == Shape{2, 2, 3, 1});
    CHECK(batch.conditioning.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{9, 4});
    const float* values = batch.images.data<float>();
    CHECK(values[5] == 1.0f);   // 255
    CHECK(values[6] == -1.0f);  // 0
    CHECK(values[0] == doctest::Approx(12 / 127.5 - 1));
    CHECK_THROWS_WITH_AS(data->batch({3}), doctest::Contains("image 3 asked for, there are 3"),
                         Error);
    CHECK_THROWS_AS(data->batch({-1}), Error);
  }
}

TEST_CASE("idx: what is wrong is said in one line") {
  refused("", idx_labels, "no IDX file");
  refused("\x89PNG nonsense", idx_labels, "no IDX file");
  refused(idx_images.substr(0, 9), idx_labels, "header is cut off");
  refused(idx_images.substr(0, idx_images.size() - 1), idx_labels, "17 bytes of data");
  refused(idx_images + "x", idx_labels, "bytes follow");
  refused(idx_labels, idx_images, "mixed up");
  refused(idx_images, "\0\0\x08\x01"s + big_endian(2) + "\1\2", "3 images");
  refused(idx_images, "\0\0\x08\x01"s + big_endian(3) + "\1\2\x0A", "label 10");
  refused("\0\0\x08\x03"s + big_endian(0xFFFFFFFF) + big_endian(1) + big_endian(1), idx_labels,
          "out of range");
  // Promises 400 TB, which must not be allocated.
  refused("\0\0\x08\x03"s + big_endian(99'999'999) + big_endian(2048) + big_endian(2048),
          idx_labels, "truncated");
  const std::string packed = gzipped(idx_images);
  refused(packed.substr(0, packed.size() - 12), gzipped(idx_labels), "", ".gz");
  std::string flipped = packed;
  flipped[packed.size() - 6] = static_cast<char>(flipped[packed.size() - 6] ^ 1);  // its checksum
  refused(flipped, gzipped(idx_labels), "damaged", ".gz");
  const TemporaryFolder empty;
  CHECK_THROWS_WITH_AS(open_dataset({"mnist", empty.path().string()}, Split::test),
                       doctest::Contains("no t10k-images-idx3-ubyte"), Error);
  CHECK_THROWS_WITH_AS(open_dataset({"mnist", ""}, Split::train), doctest::Contains("--data-dir"),
                       UsageError);
  CHECK_THROWS_WITH_AS(open_dataset({"/no/such", ""}, Split::train),
                       doctest::Contains("fashion-mnist, mnist"), UsageError);
}

TEST_CASE("cifar10: planes become pixels; wrong sizes and labels are refused") {
  const TemporaryFolder folder;
  const auto record = [](char label, char red) {
    return label + std::string(1024, red) + std::string(1024, '\x10') + std::string(1024, '\xFF');
  };
  folders(folder, {"cifar-10-batches-bin"});
  const std::string prefix = folder / "cifar-10-batches-bin/data_batch_";
  for (int i = 1; i <= 5; ++i)
    write_file(prefix + std::to_string(i) + ".bin",
               record(static_cast<char>(i), static_cast<char>(40 * i)) + record(9, 0));
  const auto open = [&](std::int64_t size = 0, std::int64_t channels = 0) {
    return open_dataset({"cifar10", folder.path().string(), size, channels}, Split::train);
  };
  const auto data = open();
  CHECK(data->size() == 10);
  const Batch batch = data->batch({4, 1});
  CHECK(batch.images.shape() == Shape{2, 32, 32, 3});
  CHECK(batch.conditioning.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 9});
  CHECK(batch.images.data<float>()[0] == to_float(120));
  CHECK(batch.images.data<float>()[1] == to_float(16));
  CHECK(batch.images.data<float>()[2] == 1.0f);
  CHECK(open(8, 1)->batch({0}).images.shape() == Shape{1, 8, 8, 1});
  CHECK_THROWS_WITH_AS(open_dataset({"cifar10", folder.path().string()}, Split::test),
                       doctest::Contains("test_batch.bin"), Error);
  write_file(prefix + "2.bin", record(10, 0));
  CHECK_THROWS_WITH_AS(open(), doctest::Contains("label 10"), Error);
  write_file(prefix + "2.bin", record(1, 0) + "x");
  CHECK_THROWS_WITH_AS(open(), doctest::Contains("no whole number"), Error);
  write_file(prefix + "2.bin", "");
  CHECK_THROWS_WITH_AS(open(), doctest::Contains("no whole number"), Error);
}

TEST_CASE("png folder: subfolders are classes, every tenth file is for tests") {
  const TemporaryFolder folder;
  folders(folder, {"cat", "ant/deep", ".hidden"});
  for (int i = 0; i < 10; ++i)
    write_png(folder / ("cat/" + std::to_string(i) + ".png"),
              flat(4, 4, {static_cast<std::uint8_t>(10 * i)}));
  write_png(folder / "ant/deep/x.PNG", flat(4, 4, {1, 2, 255}));
  write_file(folder / "cat/notes.txt", "not an image");
  const auto train = open_folder(folder), test = open_folder(folder, Split::test);
  CHECK(train->info().class_names == std::vector<std::string>{"ant", "cat"});
  CHECK(train->info().channels == 3);
  CHECK(train->size() == 10);
  CHECK(test->size() == 1);
  for (int repeat = 0; repeat < 2; ++repeat) {  // from the file, then from the cache
    const Batch batch = train->batch({0, 9});
    CHECK(batch.conditioning.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1});
    CHECK(batch.images.data<float>()[2] == 1.0f);
    CHECK(batch.images.data<float>()[48] == to_float(80));
  }
  CHECK(test->batch({0}).images.data<float>()[0] == to_float(90));
}

TEST_CASE("png folder: train and test as folders; no classes") {
  const TemporaryFolder folder;
  folders(folder, {"train", "test"});
  for (const char* name : {"train/1.png", "train/2.png", "test/3.png"})
    write_png(folder / name, flat(2, 2, {7}));
  CHECK(open_folder(folder)->size() == 2);
  CHECK(open_folder(folder, Split::test)->size() == 1);
  CHECK(open_folder(folder)->classes() == 0);
  CHECK_FALSE(open_folder(folder)->batch({0}).conditioning.labels.defined());
  folders(folder, {"test/a"});
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("different subfolders"), Error);
}

TEST_CASE("png folder: what cannot be trained on is named") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("no PNG files"), Error);
  write_png(folder / "a.png", flat(4, 4, {7}));
  CHECK_THROWS_WITH_AS(open_folder(folder, Split::test),
                       doctest::Contains("no PNG files for tests"), Error);
  write_png(folder / "b.png", flat(4, 6, {7}));
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("b.png: 4 x 6"), Error);
  CHECK(open_folder(folder, Split::train, 8, 3)->batch({1}).images.shape() == Shape{1, 8, 8, 3});
  write_file(folder / "b.png", "text");
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("b.png: this is no PNG"), Error);
  std::filesystem::remove(folder / "b.png");
  write_file(folder / "c.jpg", "");
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("c.jpg: only PNG"), Error);
  std::filesystem::remove(folder / "c.jpg");
  folders(folder, {"class"});
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("a.png: PNG files beside"), Error);
  std::filesystem::rename(folder / "a.png", folder / "class/a.png");
  folders(folder, {"empty"});
  CHECK_THROWS_WITH_AS(open_folder(folder), doctest::Contains("empty: no PNG file"), Error);
}

TEST_CASE("shapes: any size, an image depends on its index alone, classes take turns") {
  const auto train = open_dataset({"shapes", ""}, Split::train);
  CHECK(train->batch({0}).images.shape() == Shape{1, 32, 32, 3});
  const std::vector<float> alone = train->batch({7}).images.to_vector<float>();
  const std::vector<float> among = train->batch({3, 7}).images.to_vector<float>();
  CHECK(std::equal(alone.begin(), alone.end(), among.begin() + 32 * 32 * 3));
  const auto test = open_dataset({"shapes", ""}, Split::test);
  CHECK(test->batch({7}).images.to_vector<float>() != alone);
  CHECK(train->batch({19, 20}).conditioning.labels.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{9, 0});
  // Gray at another size: every shape covers some of the picture and not most of it.
  const auto gray = open_dataset({"shapes", "", 48, 1}, Split::train);
  for (std::int64_t i = 0; i < 40; ++i) {
    const std::vector<float> image = gray->batch({i}).images.to_vector<float>();
    const float paper = image[0];
    const auto covered = std::count_if(image.begin(), image.end(),
                                       [&](float v) { return std::abs(v - paper) > 0.1f; });
    CHECK(covered > 48 * 48 / 50);
    CHECK(covered < 48 * 48 / 2);
  }
  CHECK_THROWS_AS(open_dataset({"shapes", "", 0, 2}, Split::train), UsageError);
  CHECK_THROWS_AS(open_dataset({"shapes", "", -1, 0}, Split::train), UsageError);
}

TEST_SUITE_END();
