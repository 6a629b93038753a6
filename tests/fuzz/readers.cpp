#include "tests/fuzz/readers.h"

#include <ebb/apps/data/caption_files.h>
#include <ebb/apps/data/dataset.h>
#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/clip_text_json.h>
#include <ebb/apps/exchange/tokenizer_json.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/runs/sampling.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ebb::test {
namespace {

namespace fs = std::filesystem;

// A folder in memory, of this process.
class Folder {
 public:
  Folder() {
    std::string pattern =
        (fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().string()) +
        std::string("/ebb-fuzz-XXXXXX");
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string write(const std::string& name, std::string_view bytes) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const Folder& folder() {
  static const Folder made;
  return made;
}

// One file of the two is the input's, the other, which is made once, a good one.
void read_idx(std::string_view bytes) {
  const bool is_images = bytes.empty() || bytes[0] % 2 == 0;
  if (!bytes.empty()) bytes.remove_prefix(1);
  constexpr const char *images = "train-images-idx3-ubyte", *labels = "train-labels-idx1-ubyte";
  static const Folder of_images, of_labels;
  [[maybe_unused]] static const auto good_labels =
      of_images.write(labels, std::string("\0\0\x08\x01\0\0\0\x01\x03", 9));
  [[maybe_unused]] static const auto good_images =
      of_labels.write(images, std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\x07", 17));
  const Folder& used = is_images ? of_images : of_labels;
  used.write(is_images ? images : labels, bytes);
  apps::open_dataset({.data = "mnist", .folder = used.path()}, apps::Split::train);
}

void read_cifar10(std::string_view bytes) {
  folder().write("test_batch.bin", bytes);
  apps::open_dataset({.data = "cifar10", .folder = folder().path()}, apps::Split::test);
}

// A run whose config.json is the input's.
void read_run(std::string_view bytes) {
  folder().write("config.json", bytes);
  const apps::RunFolder run = apps::RunFolder::open(folder().path());
  apps::make_path(run.config());
}

void read_unet(std::string_view bytes) {
  const auto json = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  check(!json.is_discarded(), "no JSON");
  parameter_bound(apps::unet2d_config_from_json(json));
}

void read_metrics(std::string_view bytes) {
  static const Folder run_folder;
  static const apps::RunFolder run = [] {
    apps::RunConfig config;
    config.image = {4, 4, 1, {}};
    config.unet = unet2d_preset("tiny", 1, 0);
    return apps::RunFolder::create(run_folder.path(), config);
  }();
  run_folder.write("metrics.jsonl", bytes);
  run.metrics();
  if (bytes.size() % 16 == 0) run.trim_metrics(5);  // which writes, slowly
}

void read_hub_config(std::string_view bytes) {
  const auto json = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  check(!json.is_discarded(), "no JSON");
  if (bytes.size() % 2 == 0)
    apps::autoencoder_config_from_json(json);
  else
    apps::clip_text_config_from_json(json);
}

void read_tokenizer(std::string_view bytes) {
  folder().write("words.txt", bytes);
  folder().write("tokenizer.json", bytes);
  apps::read_tokenizer(folder().path());
}

// A text through the tokenizer, and the captions of a folder.
void read_text(std::string_view bytes) {
  static const BpeTokenizer tokenizer = BpeTokenizer::train({"a red square", "a red circle"});
  tokenizer.encode_all({std::string(bytes)}, 8);
  tokenizer.unseen_words(bytes);
  BpeTokenizer::train({std::string(bytes)}, 530);
  folder().write("metadata.jsonl", bytes);
  folder().write("x.txt", bytes);
  apps::read_captions(folder().path(), {folder().path() + "/x.png"});
}

// Texts of the command line that have a form of their own, a line each.
void read_arguments(std::string_view bytes) {
  const std::string text(bytes);
  const auto answer = [](const auto& parse) {
    try {
      parse();
    } catch (const Error&) {
    }
  };
  answer([&] { apps::parse_classes(text, 1000); });
  answer([&] { apps::parse_shift(text, {}); });
  answer([&] { parse_spacing(text); });
  answer([&] { find_sampler(text); });
}

}  // namespace

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all{
      {"safetensors",
       [](std::string_view b) { read_safetensors(folder().write("x.safetensors", b)); }},
      {"npy", [](std::string_view b) { read_npy(folder().write("x.npy", b)); }},
      {"png", [](std::string_view b) { apps::read_png(folder().write("x.png", b)); }},
      {"idx", read_idx},
      {"cifar10", read_cifar10},
      {"run", read_run},
      {"unet", read_unet},
      {"hub_config", read_hub_config},
      {"tokenizer", read_tokenizer},
      {"text", read_text},
      {"metrics", read_metrics},
      {"arguments", read_arguments}};
  return all;
}

void feed(const Reader& reader, std::string_view bytes) {
  try {
    reader.read(bytes);
  } catch (const Error&) {
  }
}

}  // namespace ebb::test
