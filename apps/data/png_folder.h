// A folder of PNG files. Each subfolder is a class, named by it, in alphabetical order; without
// subfolders there are no classes. Files are read when they are asked for, and kept as far as a
// bounded cache reaches, so a data set may be larger than memory.
//
// If the folder holds exactly two subfolders, train and test, these are the splits. Else every
// tenth file of a class, in alphabetical order, is the test split, and so is not trained on.
//
// Captions are read where pictures have them (caption_files.h).
#pragma once

#include <ebb/apps/data/dataset.h>

namespace ebb::apps {

class PngFolder final : public Dataset {
 public:
  // Looks at the size of every file. Sizes that differ without options.size, no PNG at all, other
  // images, and PNG files beside the subfolders are an Error that names a file. Channels: 3 if
  // any file has colour.
  PngFolder(const DatasetOptions& options, Split split);
  std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
  std::string caption(std::int64_t index) const override;

 private:
  struct File {
    std::string path;
    std::int64_t label;
    std::string caption = {};
  };
  struct Contents {
    DatasetInfo info;
    std::vector<File> files;
  };
  static Contents scan(const DatasetOptions& options, Split split);
  PngFolder(const DatasetOptions& options, Contents contents);

  void read(std::int64_t index, std::uint8_t* pixels) const override;
  std::int64_t label(std::int64_t index) const override { return files_[index].label; }

  DatasetOptions options_;  // with size and channels settled
  std::vector<File> files_;
  // Decoded images; fills up to its bound and then stays, which is as good as any rule for a
  // random order.
  mutable std::vector<std::vector<std::uint8_t>> cache_;
  mutable std::int64_t cache_bytes_ = 0;
};

}  // namespace ebb::apps
