// Labelled images to train on, whatever they come from.
#pragma once

#include <ebb/apps/images/png.h>
#include <ebb/nn/training/trainer.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::apps {

enum class Split : std::uint8_t { train, test };

// What every image of a data set is like.
struct DatasetInfo {
  std::int64_t height = 0, width = 0, channels = 0;  // channels: 1 or 3
  std::vector<std::string> class_names;              // empty: images without classes
  bool captions = false;                             // whether each has a text
};

class Dataset {
 public:
  explicit Dataset(DatasetInfo info) : info_(std::move(info)) {}
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const DatasetInfo& info() const { return info_; }
  std::int64_t classes() const { return static_cast<std::int64_t>(info_.class_names.size()); }
  virtual std::int64_t size() const = 0;

  // Images (N, H, W, C) float32 in [-1, 1] and what is known of them: labels, where there are
  // classes. An index outside [0, size()) and an image that cannot be read are an Error.
  Batch batch(const std::vector<std::int64_t>& indices) const;
  // What is known of them alone.
  Conditioning conditioning(const std::vector<std::int64_t>& indices) const;
  // What image `index` shows, in words; an Error without captions.
  virtual std::string caption(std::int64_t index) const;
  std::vector<std::string> captions(const std::vector<std::int64_t>& indices) const;

 protected:
  // Image `index` as height * width * channels bytes, and its class.
  virtual void read(std::int64_t index, std::uint8_t* pixels) const = 0;
  virtual std::int64_t label(std::int64_t index) const = 0;

 private:
  DatasetInfo info_;
};

// All images in memory, a byte a value.
class MemoryDataset final : public Dataset {
 public:
  // pixels: the images one after another; labels: one each, none without classes.
  MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> pixels,
                std::vector<std::uint8_t> labels);
  std::int64_t size() const override { return size_; }

 private:
  void read(std::int64_t index, std::uint8_t* pixels) const override;
  std::int64_t label(std::int64_t index) const override { return labels_[index]; }

  std::vector<std::uint8_t> pixels_, labels_;
  std::int64_t size_;
};

struct DatasetOptions {
  // fashion-mnist, mnist, cifar10, shapes, scenes, or a folder of PNG files (png_folder.h).
  std::string data;
  // Where the files of mnist and cifar10 are; fashion-mnist has a place of its own.
  std::string folder = {};
  std::int64_t size = 0;      // images become size x size; 0: as they are (drawn: 32)
  std::int64_t channels = 0;  // 1 or 3; 0: as they are
};

inline constexpr std::string_view dataset_names = "fashion-mnist, mnist, cifar10, shapes, scenes";

// An Error names what is missing or wrong, file by file.
std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options, Split split);

// The image in the size and channels that the options ask for.
Image fitted(const Image& image, const DatasetOptions& options);

// The readers behind open_dataset.
// IDX (http://yann.lecun.com/exdb/mnist): train-images-idx3-ubyte, ... in options.folder, gzipped
// or not.
std::unique_ptr<Dataset> open_idx(const DatasetOptions& options,
                                  std::vector<std::string> class_names, Split split);
// CIFAR-10, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label and
// 3 x 32 x 32 bytes in data_batch_1.bin ... data_batch_5.bin and test_batch.bin.
std::unique_ptr<Dataset> open_cifar10(const DatasetOptions& options, Split split);

}  // namespace ebb::apps
