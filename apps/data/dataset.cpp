#include <ebb/apps/data/dataset.h>
#include <ebb/apps/data/png_folder.h>
#include <ebb/apps/data/scenes.h>
#include <ebb/apps/data/shapes.h>
#include <ebb/apps/system/console.h>

#include <algorithm>
#include <filesystem>

namespace ebb::apps {

Batch Dataset::batch(const std::vector<std::int64_t>& indices) const {
  const auto count = static_cast<std::int64_t>(indices.size());
  Batch result{Tensor::empty({count, info_.height, info_.width, info_.channels}), {}};
  std::vector<std::uint8_t> bytes(
      static_cast<std::size_t>(info_.height * info_.width * info_.channels));
  float* to = result.images.mutable_data<float>();
  for (const std::int64_t index : indices) {
    check(index >= 0 && index < size(), "data set: image {} asked for, there are {}", index,
          size());
    read(index, bytes.data());
    for (const std::uint8_t byte : bytes) *to++ = to_float(byte);
  }
  result.conditioning = conditioning(indices);
  return result;
}

Conditioning Dataset::conditioning(const std::vector<std::int64_t>& indices) const {
  if (classes() == 0) return {};
  std::vector<std::int64_t> labels;
  for (const std::int64_t index : indices) labels.push_back(label(index));
  return Tensor::from(labels);
}

std::string Dataset::caption(std::int64_t) const {
  fail("data set: these images have no captions");
}

std::vector<std::string> Dataset::captions(const std::vector<std::int64_t>& indices) const {
  std::vector<std::string> result;
  for (const std::int64_t index : indices) result.push_back(caption(index));
  return result;
}

MemoryDataset::MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> pixels,
                             std::vector<std::uint8_t> labels)
    : Dataset(std::move(info)), pixels_(std::move(pixels)), labels_(std::move(labels)) {
  const DatasetInfo& i = this->info();
  size_ = static_cast<std::int64_t>(pixels_.size()) / (i.height * i.width * i.channels);
}

void MemoryDataset::read(std::int64_t index, std::uint8_t* pixels) const {
  const std::int64_t bytes = info().height * info().width * info().channels;
  std::copy_n(pixels_.begin() + index * bytes, bytes, pixels);
}

Image fitted(const Image& image, const DatasetOptions& options) {
  const Image colored = options.channels > 0 ? with_channels(image, options.channels) : image;
  return options.size > 0 ? resized(colored, options.size, options.size) : colored;
}

std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options, Split split) {
  check_usage(options.channels == 0 || options.channels == 1 || options.channels == 3,
              "{} channels; give 1 (gray) or 3 (RGB)", options.channels);
  check_usage(options.size >= 0 && options.size <= 1024, "image size {}; give 1 to 1024",
              options.size);
  DatasetOptions found = options;
  if (options.data == "shapes") return std::make_unique<Shapes>(options, split);
  if (options.data == "scenes") return std::make_unique<Scenes>(options, split);
  if (options.data == "fashion-mnist") {
    if (found.folder.empty()) found.folder = "/usr/share/datasets/fashion-mnist";
    check(std::filesystem::is_directory(found.folder),
          "fashion-mnist: no folder {}; install the package dataset-fashion-mnist, or name the "
          "folder with --data-dir",
          found.folder);
    return open_idx(found,
                    {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt",
                     "sneaker", "bag", "boot"},
                    split);
  }
  const bool needs_folder = options.data == "mnist" || options.data == "cifar10";
  check_usage(!needs_folder || !options.folder.empty(),
              "{}: name the folder of its files with --data-dir", options.data);
  if (options.data == "mnist")
    return open_idx(found, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, split);
  if (options.data == "cifar10") return open_cifar10(found, split);
  check_usage(std::filesystem::is_directory(options.data),
              "no data set and no folder '{}'; give {} or a folder of PNG files", options.data,
              dataset_names);
  return std::make_unique<PngFolder>(options, split);
}

}  // namespace ebb::apps
