#include <ebb/apps/data/caption_files.h>
#include <ebb/apps/data/png_folder.h>

#include <algorithm>
#include <filesystem>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t max_cache_bytes = std::int64_t{1} << 30;
constexpr std::int64_t test_every = 10;

std::string extension(const fs::path& path) {
  std::string result = path.extension().string();
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

// Sorted; hidden ones are passed over.
std::vector<fs::path> entries(const fs::path& folder, bool folders) {
  std::vector<fs::path> result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.is_directory() == folders && !hidden(entry.path())) result.push_back(entry.path());
  check(!error, "{}: cannot list it: {}", folder.string(), error.message());
  std::sort(result.begin(), result.end());
  return result;
}

void collect(const fs::path& folder, std::vector<std::string>& files) {
  for (const fs::path& path : entries(folder, false)) {
    const std::string end = extension(path);
    if (end == ".png") files.push_back(path.string());
    constexpr std::string_view others = " .jpg .jpeg .gif .bmp .webp .tif .tiff .ppm .pgm ";
    check(end.empty() || others.find(" " + end + " ") == std::string_view::npos,
          "{}: only PNG files are read; convert it to PNG or move it away", path.string());
  }
  for (const fs::path& path : entries(folder, true)) collect(path, files);
}

std::vector<std::string> of_split(const std::vector<std::string>& files, Split split) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < files.size(); ++i)
    if ((i % test_every == test_every - 1) == (split == Split::test)) result.push_back(files[i]);
  return result;
}

}  // namespace

PngFolder::Contents PngFolder::scan(const DatasetOptions& options, Split split) {
  fs::path folder = options.data;
  std::vector<fs::path> classes = entries(folder, true);
  const bool split_by_folder =
      classes.size() == 2 && classes[0].filename() == "test" && classes[1].filename() == "train";
  if (split_by_folder) {
    const std::vector<fs::path> test_classes = entries(classes[0], true);
    folder = classes[split == Split::train ? 1 : 0];
    const std::vector<fs::path> train_classes = entries(classes[1], true);
    const auto same_name = [](const fs::path& a, const fs::path& b) {
      return a.filename() == b.filename();
    };
    check(std::equal(train_classes.begin(), train_classes.end(), test_classes.begin(),
                     test_classes.end(), same_name),
          "{}: train and test have different subfolders; give both the same classes", options.data);
    classes = split == Split::train ? train_classes : test_classes;
  }
  Contents contents;
  const auto add = [&](const std::vector<std::string>& files, std::int64_t label) {
    for (const std::string& path : split_by_folder ? files : of_split(files, split))
      contents.files.push_back({path, label, ""});
  };
  if (classes.empty()) {
    std::vector<std::string> files;
    collect(folder, files);
    add(files, 0);
  }
  for (const fs::path& path : entries(folder, false))
    check(classes.empty() || extension(path) != ".png",
          "{}: PNG files beside subfolders; put it into a subfolder, its class", path.string());
  for (const fs::path& path : classes) {
    std::vector<std::string> files;
    collect(path, files);
    check(!files.empty(), "{}: no PNG file in this class; add some or remove the folder",
          path.string());
    add(files, static_cast<std::int64_t>(contents.info.class_names.size()));
    contents.info.class_names.push_back(path.filename().string());
  }
  check(!contents.files.empty(),
        "{}: no PNG files for {}; add some (every tenth is kept for tests)", folder.string(),
        split == Split::train ? "training" : "tests");

  DatasetInfo& info = contents.info;
  std::vector<std::string> paths;
  for (const File& file : contents.files) paths.push_back(file.path);
  std::vector<std::string> captions = read_captions(folder.string(), paths);
  for (std::size_t i = 0; i < captions.size(); ++i) {
    info.captions = info.captions || !captions[i].empty();
    contents.files[i].caption = std::move(captions[i]);
  }
  info.channels = 1;
  for (const File& file : contents.files) {
    const Image image = read_png_size(file.path);
    if (info.height == 0) {
      info.height = image.height;
      info.width = image.width;
    }
    check(options.size > 0 || (image.height == info.height && image.width == info.width),
          "{}: {} x {} pixels, {} has {} x {}; give all one size with --size", file.path,
          image.height, image.width, contents.files[0].path, info.height, info.width);
    if (image.channels >= 3) info.channels = 3;
  }
  if (options.size > 0) info.height = info.width = options.size;
  if (options.channels > 0) info.channels = options.channels;
  return contents;
}

PngFolder::PngFolder(const DatasetOptions& options, Split split)
    : PngFolder(options, scan(options, split)) {}

PngFolder::PngFolder(const DatasetOptions& options, Contents contents)
    : Dataset(std::move(contents.info)),
      options_(options),
      files_(std::move(contents.files)),
      cache_(files_.size()) {
  options_.channels = info().channels;
}

std::string PngFolder::caption(std::int64_t index) const {
  check(info().captions, "{}: its pictures have no captions", options_.data);
  return files_.at(static_cast<std::size_t>(index)).caption;
}

void PngFolder::read(std::int64_t index, std::uint8_t* pixels) const {
  std::vector<std::uint8_t>& cached = cache_[index];
  if (!cached.empty()) {
    std::copy(cached.begin(), cached.end(), pixels);
    return;
  }
  Image image = fitted(read_png(files_[index].path), options_);
  check(image.height == info().height && image.width == info().width,
        "{}: its size has changed since training began; leave the files as they are",
        files_[index].path);
  std::copy(image.pixels.begin(), image.pixels.end(), pixels);
  const auto bytes = static_cast<std::int64_t>(image.pixels.size());
  if (cache_bytes_ + bytes > max_cache_bytes) return;
  cache_bytes_ += bytes;
  cached = std::move(image.pixels);
}

}  // namespace ebb::apps
