// ebb import and ebb export, by the program itself. That diffusers' own class computes the same is
// tests/interop/unet2d.py's to say.
#include <doctest/doctest.h>
#include <ebb/apps/images/png.h>
#include <ebb/tensor/io/atomic_file.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <filesystem>
#include <nlohmann/json.hpp>

using namespace ebb;
using test::check_refused;
using test::contents_of;
using test::succeed;
using test::TemporaryFolder;

namespace {

// A run of the tiny network on 8 x 8 shapes, and what it exports to.
struct Exchanged {
  TemporaryFolder folder;
  std::string run = folder / "run", model = folder / "model";

  Exchanged() {
    succeed({"train", "--data", "shapes", "--size", "8", "--batch", "4", "--preset", "tiny",
             "--steps", "3", "--out", run});
    succeed({"export", run, "--out", model});
  }
};

}  // namespace

TEST_SUITE_BEGIN("apps exchange");

TEST_CASE("what is exported and imported again draws the same images and can be trained on") {
  const Exchanged e;
  const std::string again = e.folder / "again";
  succeed({"import", e.model, "--schedule", "cosine", "--prediction", "v", "--data", "shapes",
           "--size", "8", "--out", again});
  for (const char* weights : {"ema", "raw"}) {  // an imported model is its own average
    const std::string picture = e.folder / (std::string(weights) + ".npy");
    succeed(
        {"sample", again, "--steps", "3", "--count", "2", "--weights", weights, "--out", picture});
    succeed({"sample", e.run, "--steps", "3", "--count", "2", "--out", e.folder / "first.npy"});
    CHECK(!contents_of(picture).empty());
    CHECK(contents_of(picture) == contents_of(e.folder / "first.npy"));
  }
  succeed({"train", "--resume", "--out", again, "--steps", "2"});
}

TEST_CASE("without a data set the size is the model's; a pipeline's folder will do") {
  const Exchanged e;
  const nlohmann::json config = nlohmann::json::parse(contents_of(e.model + "/config.json"));
  CHECK(config["_class_name"] == "UNet2DModel");
  CHECK(config["sample_size"] == nlohmann::json{4, 4});  // squares of 2 x 2 pixels
  const std::string pipeline = e.folder / "pipeline", run = e.folder / "imported";
  std::filesystem::create_directory(pipeline);
  std::filesystem::rename(e.model, pipeline + "/unet");
  succeed({"import", pipeline, "--out", run});
  const nlohmann::json imported = nlohmann::json::parse(contents_of(run + "/config.json"));
  CHECK(imported["image"]["height"] == 8);
  CHECK(imported["schedule"] == "linear");
  CHECK(imported["objective"]["prediction"] == "epsilon");
  check_refused({"train", "--resume", "--out", run}, 2, "again with --data");
}

TEST_CASE("what is there stays, and what cannot be taken is named") {
  const Exchanged e;
  const std::string out = e.folder / "x";
  check_refused({"export", e.run, "--out", e.model}, 1, "it is there already");
  check_refused({"import", e.model, "--out", e.run}, 1, "there is a training run already");
  check_refused({"import", e.folder / "none", "--out", out}, 1, "config.json: there is none");
  const std::string pictures = e.folder / "pictures";
  std::filesystem::create_directories(pictures + "/only");
  apps::write_png(pictures + "/only/0.png", {8, 8, 1, std::vector<std::uint8_t>(64)});
  check_refused({"import", e.model, "--data", pictures, "--out", out}, 2,
                "images of 1 channels in 1 classes");
  check_refused({"import", e.model, "--schedule", "flow", "--out", out}, 2, "--prediction flow");

  nlohmann::json config = nlohmann::json::parse(contents_of(e.model + "/config.json"));
  const auto refuse_config = [&](const char* key, const nlohmann::json& value, const char* why,
                                 int code = 1) {
    nlohmann::json changed = config;
    changed[key] = value;
    write_file(e.model + "/config.json", changed.dump());
    check_refused({"import", e.model, "--out", out}, code, why);
  };
  refuse_config("mid_block_type", nullptr, "mid_block_type is null");
  refuse_config("time_embedding_type", "fourier", "time_embedding_type is \"fourier\"");
  refuse_config("time_embedding_dim", 12, "time_embedding_dim is 12");
  refuse_config("sample_size", nullptr, "--size", 2);
  refuse_config("sample_size", 2.5, "sample_size is 2.5");
  refuse_config("sample_size", {4, -4}, "sample_size is [4,-4]");
  refuse_config("sample_size", 3, "no multiple of 4", 2);
  CHECK(!std::filesystem::exists(out));
}

TEST_SUITE_END();
