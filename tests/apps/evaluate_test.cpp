// ebb evaluate, by the program itself: a tiny network on tiny shapes.
#include <doctest/doctest.h>
#include <ebb/apps/evaluation/evaluation.h>
#include <ebb/apps/evaluation/feature_classifier.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/random/random.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace ebb;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

struct EvaluatedRun {
  TemporaryFolder folder;
  std::string path = folder / "run", cache = folder / "cache";
};

// A run of four steps, its checkpoints kept. --keep 1 would leave the last alone.
const EvaluatedRun& evaluated_run() {
  static const EvaluatedRun* const run = [] {
    static EvaluatedRun made;
    test::succeed({"train",     "--data",  "shapes", "--size",       "8",    "--channels",
                   "1",         "--batch", "4",      "--preset",     "tiny", "--steps",
                   "4",         "--keep",  "1",      "--save-every", "2",    "--keep-every-minutes",
                   "0.0000001", "--out",   made.path});
    return &made;
  }();
  return *run;
}

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.is_open());
  return nlohmann::json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

Outcome evaluate_run(const std::string& out, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"evaluate",
                                     evaluated_run().path,
                                     "--cache",
                                     evaluated_run().cache,
                                     "--count",
                                     "40",
                                     "--classifier-steps",
                                     "20",
                                     "--steps",
                                     "3",
                                     "--out",
                                     out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

apps::RunConfig shapes_config() {
  apps::RunConfig config;
  config.data = {.data = "shapes", .size = 8, .channels = 1};
  return config;
}

}  // namespace

TEST_SUITE_BEGIN("apps evaluate");

TEST_CASE("evaluation: real images reach the floor, noise does not") {
  const apps::FeatureClassifierOptions judge{evaluated_run().cache, 20};
  const apps::Evaluation evaluation(shapes_config(), judge, 100, 3);
  const auto data = apps::open_dataset(shapes_config().data, apps::Split::train);
  const std::vector<std::int64_t> chosen = DataOrder(data->size(), 100, 3).indices(0);
  const Batch real = data->batch(chosen);
  CHECK(real.conditioning.labels.to_vector<std::int64_t>() == evaluation.labels());
  const apps::SampleMetrics same = evaluation.measure(real.images), floor = evaluation.floor();
  CHECK(same.frechet_distance == floor.frechet_distance);
  CHECK(same.accuracy == floor.accuracy);
  const apps::SampleMetrics noise =
      evaluation.measure(philox_normal(real.images.shape(), {5, Purpose::other}));
  CHECK(noise.frechet_distance > 10 * floor.frechet_distance);
  CHECK(noise.kernel_distance > 20 * std::abs(floor.kernel_distance));
  CHECK(noise.recall < 0.2);
  CHECK(floor.recall > 0.7);
  CHECK(floor.precision > 0.7);

  // Training images are their own nearest, whatever block they lie in.
  const Neighbours nearest = evaluation.nearest_training_images(real.images);
  CHECK(nearest.index == chosen);
  CHECK(apps::median(nearest.distance) == 0);
  CHECK(apps::median(evaluation.nearest_training_images_of_test().distance) > 0.1);
}

TEST_CASE(
    "evaluate: figures, their floor, a picture; the classifier is kept, mended, and its own") {
  const TemporaryFolder folder;
  const Outcome first = evaluate_run(folder / "a.json");
  REQUIRE_MESSAGE(first.code == 0, first.err);
  CHECK(first.err.find("of the test images") != std::string::npos);
  const nlohmann::json a = read_json(folder / "a.json");
  for (const char* side : {"samples", "floor"})
    for (const char* name : {"accuracy", "frechet_distance", "kernel_distance", "precision",
                             "recall", "nearest_distance", "memorised", "bits_per_dimension"})
      CHECK_MESSAGE(a[side].contains(name), side, " ", name);
  CHECK(a["samples"]["frechet_distance"] > a["floor"]["frechet_distance"]);
  CHECK(a["samples"]["bits_per_dimension"] > 1);
  CHECK(a["checkpoint"] == 4);
  CHECK(apps::read_png(folder / "a.png").width > 80);

  std::string judge;
  for (const auto& entry : fs::directory_iterator(evaluated_run().cache))
    if (entry.path().filename().string().starts_with("classifier-shapes-8x8x1"))
      judge = entry.path();
  REQUIRE_FALSE(judge.empty());
  const auto time = fs::last_write_time(judge);
  REQUIRE(evaluate_run(folder / "b.json", {"--threads", "3"}).code == 0);
  CHECK(read_json(folder / "b.json") == a);
  CHECK(fs::last_write_time(judge) == time);

  fs::resize_file(judge, fs::file_size(judge) - 9);
  const Outcome mended = evaluate_run(folder / "c.json");
  REQUIRE_MESSAGE(mended.code == 0, mended.err);
  CHECK(mended.err.find("trained again") != std::string::npos);
  CHECK(read_json(folder / "c.json") == a);

  REQUIRE(evaluate_run(folder / "d.json", {"--classifier-steps", "1"}).code == 0);
  CHECK(read_json(folder / "d.json")["judge"]["test_accuracy"] < a["judge"]["test_accuracy"]);

  REQUIRE(evaluate_run(folder / "e.json", {"--spacing", "karras"}).code == 0);
  const nlohmann::json karras = read_json(folder / "e.json");
  CHECK(karras["spacing"] == "karras");
  CHECK_FALSE(a.contains("spacing"));
  CHECK(karras["samples"]["frechet_distance"] != a["samples"]["frechet_distance"]);
  const Outcome unknown = evaluate_run(folder / "f.json", {"--spacing", "even"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("spacing: 'even' is unknown") != std::string::npos);
}

TEST_CASE("evaluate: sweeps have a row for each point") {
  const TemporaryFolder folder;
  const auto rows = [&](const char* over, const std::vector<std::string>& more) {
    const std::string out = folder / (std::string(over) + ".json");
    std::vector<std::string> arguments{"--sweep", over};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = evaluate_run(out, arguments);
    REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    CHECK((fs::exists(folder / (std::string(over) + ".png")) ||
           fs::exists(folder / (std::string(over) + ".gp"))));
    return read_json(out)["rows"];
  };
  const auto steps = rows("steps", {"--samplers", "ddim,heun", "--values", "1,2"});
  REQUIRE(steps.size() == 4);
  CHECK(steps[3]["sampler"] == "heun");
  CHECK(steps[3]["evaluations"] == 4);
  CHECK(steps[0]["frechet_distance"] != steps[2]["frechet_distance"]);
  const auto guidance = rows("guidance", {"--values", "1,2.5"});
  REQUIRE(guidance.size() == 2);
  CHECK(guidance[1]["guidance"] == 2.5);
  const auto checkpoints = rows("checkpoints", {});
  REQUIRE(checkpoints.size() == 4);
  CHECK(checkpoints[0]["step"] == 1);
  CHECK(checkpoints[3]["minutes"] > checkpoints[0]["minutes"]);
  CHECK(checkpoints[0]["frechet_distance"] != checkpoints[3]["frechet_distance"]);
}

TEST_CASE("evaluation: few images are not gone over for long to make their judge") {
  const TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) {
    const std::string shade = folder / (i % 2 == 0 ? "dark" : "light");
    fs::create_directory(shade);
    apps::write_png(fmt::format("{}/{}.png", shade, i),
                    {8, 8, 1, std::vector<std::uint8_t>(64, i % 2 == 0 ? i : 200 + i)});
  }
  const auto train = apps::open_dataset({.data = folder / ""}, apps::Split::train);
  const auto kept_for = [&](std::int64_t steps) {
    const std::string file =
        apps::open_feature_classifier({.data = folder / ""}, *train, {folder / "cache", steps})
            .file;
    return nlohmann::json::parse(read_safetensors(file).metadata.at("ebb.classifier"))
        .at("steps")
        .get<std::int64_t>();
  };
  CHECK(kept_for(0) == 50 * train->size() / 128 + 1);
  CHECK(kept_for(3) == 3);
}

TEST_CASE("evaluate: what cannot be judged is said") {
  const auto refused = [](const std::vector<std::string>& more, int code, const char* words) {
    const Outcome outcome = evaluate_run("/nowhere/x.json", more);
    CHECK(outcome.code == code);
    CHECK_MESSAGE(outcome.err.find(words) != std::string::npos, outcome.err);
  };
  refused({"--count", "5"}, 2, "--count");
  refused({"--count", "70000"}, 2, "60000");
  refused({"--sampler", "nonsense"}, 2, "nonsense");
  refused({"--samplers", "nonsense", "--sweep", "steps"}, 2, "nonsense");
  refused({"--checkpoint", "7"}, 1, "1, 2, 3, 4");
  refused({"--out", "x.txt"}, 2, ".json");
  refused({"--sweep", "steps", "--values", "1.5"}, 2, "1.5");
  refused({}, 1, "/nowhere/x.png");
}

TEST_SUITE_END();
