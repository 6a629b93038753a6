#include <ebb/apps/data/dataset.h>
#include <ebb/tensor/io/input_file.h>

#include <filesystem>

namespace ebb::apps {
namespace {

constexpr std::int64_t side = 32, plane = side * side, record = 1 + 3 * plane;

void read_records(const std::string& path, const DatasetOptions& options,
                  std::vector<std::uint8_t>& pixels, std::vector<std::uint8_t>& labels) {
  check(std::filesystem::exists(path),
        "{}: there is none; cifar10 needs the binary version's files", path);
  InputFile file(path);
  const auto bytes = static_cast<std::int64_t>(file.size());
  check(bytes > 0 && bytes % record == 0,
        "{}: {} bytes are no whole number of records of {}; download it again (binary version)",
        path, bytes, record);
  std::vector<std::uint8_t> data(record);
  for (std::int64_t i = 0; i < bytes / record; ++i) {
    file.read(data.data(), record);
    check(data[0] < 10, "{}: image {} has label {}, there are 10 classes; download it again", path,
          i, data[0]);
    labels.push_back(data[0]);
    Image image{side, side, 3, {}};
    for (std::int64_t p = 0; p < plane; ++p)
      for (std::int64_t c = 0; c < 3; ++c) image.pixels.push_back(data[1 + c * plane + p]);
    image = fitted(image, options);
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  }
}

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const DatasetOptions& options, Split split) {
  std::string folder = options.folder;
  const std::string inner = folder + "/cifar-10-batches-bin";
  if (std::filesystem::is_directory(inner)) folder = inner;
  std::vector<std::uint8_t> pixels, labels;
  if (split == Split::test) {
    read_records(folder + "/test_batch.bin", options, pixels, labels);
  } else {
    for (int i = 1; i <= 5; ++i)
      read_records(fmt::format("{}/data_batch_{}.bin", folder, i), options, pixels, labels);
  }
  const std::int64_t size = options.size > 0 ? options.size : side;
  DatasetInfo info{
      size,
      size,
      options.channels == 1 ? 1 : 3,
      {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}};
  return std::make_unique<MemoryDataset>(std::move(info), std::move(pixels), std::move(labels));
}

}  // namespace ebb::apps
