#include <ebb/apps/data/dataset.h>
#include <ebb/tensor/io/input_file.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ebb::apps {
namespace {

constexpr std::int64_t max_images = 100'000'000, max_side = 4096;
constexpr std::string_view mend = "download it again";

// Bytes of a file, gzipped or not.
class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path) {
    InputFile file(path);
    most_ = most_expanded(static_cast<std::int64_t>(file.size()));
    const int descriptor = file.release();
    file_ = gzdopen(descriptor, "rb");
    if (!file_) ::close(descriptor);
    check(file_ != nullptr, "{}: cannot open it: {}", path, std::strerror(errno));
    gzbuffer(file_, 1 << 17);
  }
  ~GzipFile() { gzclose(file_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  // As many of `bytes` as there are.
  std::vector<std::uint8_t> read(std::int64_t bytes) {
    check(bytes <= most_,
          "{}: truncated: its header promises {} bytes, more than the file can hold; {}", path_,
          bytes, mend);
    constexpr std::int64_t piece = 1 << 20;
    std::vector<std::uint8_t> result;
    result.reserve(static_cast<std::size_t>(bytes));
    while (bytes > 0) {
      const std::int64_t wanted = std::min(bytes, piece);
      const std::size_t before = result.size();
      result.resize(before + static_cast<std::size_t>(wanted));
      const int got = gzread(file_, result.data() + before, static_cast<unsigned>(wanted));
      int error = Z_OK;
      gzerror(file_, &error);
      check(got >= 0 && (error == Z_OK || error == Z_BUF_ERROR), "{}: damaged gzip data; {}", path_,
            mend);
      result.resize(before + static_cast<std::size_t>(got));
      if (got < wanted) break;
      bytes -= got;
    }
    return result;
  }

 private:
  std::string path_;
  std::int64_t most_;
  gzFile file_;
};

struct Idx {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> bytes;
};

// Two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes big-endian,
// the data.
Idx read_idx(const std::string& path, std::size_t rank) {
  GzipFile file(path);
  const std::vector<std::uint8_t> header = file.read(static_cast<std::int64_t>(4 + 4 * rank));
  check(header.size() >= 4 && header[0] == 0 && header[1] == 0 && header[2] == 8,
        "{}: this is no IDX file of bytes (it does not begin with 0, 0, 8); {}", path, mend);
  check(header[3] == rank, "{}: {} dimensions, {} expected; are images and labels mixed up?", path,
        header[3], rank);
  check(header.size() == 4 + 4 * rank, "{}: truncated: its header is cut off; {}", path, mend);
  Idx idx;
  std::int64_t total = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    std::int64_t size = 0;
    for (std::size_t j = 4 + 4 * i; j < 8 + 4 * i; ++j) size = size << 8 | header[j];
    check(size >= 1 && size <= (i == 0 ? max_images : max_side),
          "{}: size {} in its header is out of range; {}", path, size, mend);
    idx.sizes.push_back(size);
    total *= size;
  }
  idx.bytes = file.read(total);
  check(static_cast<std::int64_t>(idx.bytes.size()) == total,
        "{}: truncated: {} bytes of data, its header promises {}; {}", path, idx.bytes.size(),
        total, mend);
  check(file.read(1).empty(), "{}: bytes follow the {} of its header; {}", path, total, mend);
  return idx;
}

std::string find_idx(const std::string& folder, const std::string& name) {
  for (const char* end : {".gz", ""}) {
    const std::string path = folder + "/" + name + end;
    if (std::filesystem::exists(path)) return path;
  }
  fail("{}: no {} and no {}.gz there; name the folder of the IDX files with --data-dir", folder,
       name, name);
}

}  // namespace

std::unique_ptr<Dataset> open_idx(const DatasetOptions& options,
                                  std::vector<std::string> class_names, Split split) {
  const std::string prefix = split == Split::train ? "train" : "t10k";
  const std::string image_path = find_idx(options.folder, prefix + "-images-idx3-ubyte");
  const std::string label_path = find_idx(options.folder, prefix + "-labels-idx1-ubyte");
  Idx images = read_idx(image_path, 3);
  Idx labels = read_idx(label_path, 1);
  check(images.sizes[0] == labels.sizes[0], "{} has {} images and {} {} labels; {} both",
        image_path, images.sizes[0], label_path, labels.sizes[0], mend);
  const std::uint8_t top = *std::max_element(labels.bytes.begin(), labels.bytes.end());
  check(top < class_names.size(), "{}: label {}, there are {} classes; is this the right file?",
        label_path, top, class_names.size());

  DatasetInfo info{images.sizes[1], images.sizes[2], 1, std::move(class_names)};
  if (options.size > 0 || options.channels == 3) {
    const std::int64_t bytes = info.height * info.width;
    std::vector<std::uint8_t> pixels;
    for (auto at = images.bytes.begin(); at != images.bytes.end(); at += bytes) {
      const Image image = fitted({info.height, info.width, 1, {at, at + bytes}}, options);
      pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    }
    images.bytes = std::move(pixels);
    if (options.size > 0) info.height = info.width = options.size;
    if (options.channels > 0) info.channels = options.channels;
  }
  return std::make_unique<MemoryDataset>(std::move(info), std::move(images.bytes),
                                         std::move(labels.bytes));
}

}  // namespace ebb::apps
