// What happens to a run when something goes wrong beside it: another process, a kill, a signal, a
// damaged file, a picture that cannot be drawn, weights that are not finite.
#include <doctest/doctest.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/pointwise.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

namespace ebb::test::recovery {

namespace fs = std::filesystem;
using apps::RunFolder;

Arguments training(const std::string& out, const Arguments& more = {}) {
  return Arguments{"train", "--data", "shapes", "--size",   "8",    "--channels",  "1", "--batch",
                   "4",     "--out",  out,      "--preset", "tiny", "--log-every", "1"} +
         more;
}

Arguments resumed(const std::string& out, const Arguments& more = {}) {
  return Arguments{"train", "--resume", "--out", out} + more;
}

// A run of four steps with a checkpoint each.
void copy_run(const std::string& to) {
  static const TemporaryFolder folder;
  static const bool made = [] {
    succeed(training(folder / "run", {"--steps", "4", "--save-every", "1", "--keep", "9"}));
    return true;
  }();
  REQUIRE(made);
  fs::copy(folder / "run", to, fs::copy_options::recursive);
}

std::string step_of(const std::string& run, int step) {
  return run + fmt::format("/checkpoints/step-{:08}", step);
}

std::vector<std::vector<double>> weights_of(const std::string& run, int step) {
  std::vector<std::vector<double>> result;
  for (const NamedTensor& t : read_safetensors(step_of(run, step) + "/raw.safetensors").tensors)
    result.push_back(t.tensor.to_vector<double>());
  return result;
}

void wait_for(const std::string& path) {
  for (int tries = 0; tries < 3000 && !fs::exists(path); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

// Flips a bit of the last byte.
void damage(const std::string& path) {
  std::string bytes = contents_of(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 64);
  write_file(path, bytes);
}

// Puts a NaN into the first weight, as a checkpoint that was written so.
void poison(const std::string& path) {
  Safetensors file = read_safetensors(path);
  std::vector<float> values = file.tensors[0].tensor.to_vector<float>();
  values[0] = std::numeric_limits<float>::quiet_NaN();
  file.tensors[0].tensor = Tensor::from(values, file.tensors[0].tensor.shape());
  write_safetensors(path, file.tensors, file.metadata);
}

TEST_SUITE_BEGIN("apps recovery");

TEST_CASE("one process at a time trains into a run; reading goes on") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto meanwhile = [&](pid_t child) {
    wait_for(step_of(run, 1));
    const Outcome second = run_program(resumed(run, {"--steps", "9"}));
    CHECK(second.code == 1);
    CHECK(second.err.find(fmt::format("process {} trains into this run", child)) !=
          std::string::npos);
    succeed({"sample", run, "--count", "1", "--steps", "1", "--out", folder / "x.npy"});
    ::kill(child, SIGINT);
  };
  const Arguments endless{"--steps", "1000000", "--save-every", "1", "--preview-every", "1000000"};
  CHECK(run_program(training(run, endless), {.meanwhile = meanwhile}).code == 1);
  succeed(resumed(run, {"--minutes", "0.001"}));
}

TEST_CASE("killed before its first checkpoint, a run is resumed from its start") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto kill_early = [&](pid_t child) {
    wait_for(run + "/metrics.jsonl");
    ::kill(child, SIGKILL);
  };
  const Arguments endless{"--steps", "1000000",      "--preview-every",
                          "1000000", "--save-every", "1000000"};
  CHECK(run_program(training(run, endless), {.meanwhile = kill_early}).code == -SIGKILL);
  CHECK(RunFolder::open(run).checkpoints().empty());
  succeed(resumed(run, {"--steps", "4"}));
  copy_run(folder / "whole");
  CHECK(weights_of(run, 4) == weights_of(folder / "whole", 4));
}

TEST_CASE("killed while it was made, a folder may be used again") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  fs::create_directories(run + "/checkpoints");
  fs::create_directories(run + "/samples");
  write_file(run + "/lock", "");
  write_file(temporary_name(run + "/config.json"), "{");
  succeed(training(run, {"--steps", "1"}));
}

TEST_CASE("what a killed process left is removed at the next start") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  copy_run(run);
  fs::create_directories(temporary_name(step_of(run, 5)) + "/x");
  write_file(temporary_name(run + "/samples/step-00000004.png"), "x");
  write_file(temporary_name(run + "/config.json"), "x");
  succeed(resumed(run, {"--steps", "5"}));
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    CAPTURE(entry.path().string());
    CHECK_FALSE(is_temporary(entry.path().filename().string()));
  }
}

TEST_CASE("every signal in training saves, stops and says how to go on") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(signal);
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    const auto stop = [&](pid_t child) {
      wait_for(step_of(run, 2));
      ::kill(child, signal);
    };
    const Outcome outcome = run_program(
        training(run, {"--steps", "1000000", "--save-every", "2", "--preview-every", "1000000"}),
        {.meanwhile = stop});
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find("which is saved; go on with") != std::string::npos);
    const RunFolder opened = RunFolder::open(run);
    CHECK(opened.checkpoints().back() == opened.metrics().back()["step"]);
  }
}

TEST_CASE("a signal during a preview loses no step") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto stop = [&](pid_t child) {
    wait_for(run + "/samples/step-00000001.png");
    ::kill(child, SIGINT);
  };
  // Nearly all of the time is a preview's.
  const Outcome outcome = run_program(training(run, {"--steps", "1000000", "--preview-every", "1"}),
                                      {.meanwhile = stop});
  CHECK(outcome.code == 1);
  const RunFolder opened = RunFolder::open(run);
  REQUIRE_FALSE(opened.checkpoints().empty());
  CHECK(opened.checkpoints().back() == opened.metrics().back()["step"]);
}

TEST_CASE("pictures and metrics that cannot be written end nothing and are told once") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  copy_run(run);
  fs::remove_all(run + "/samples");
  write_file(run + "/samples", "no folder");
  write_file(folder / "gnuplot", "#!/bin/sh\nexit 3\n");
  fs::permissions(folder / "gnuplot", fs::perms::owner_all);
  const Outcome outcome = run_program(resumed(run, {"--steps", "7", "--preview-every", "1"}),
                                      {.environment = {"PATH=" + folder.path().string()}});
  CHECK(outcome.code == 0);
  CHECK(RunFolder::open(run).checkpoints().back() == 7);
  for (const char* what : {"without a preview", "without loss.png"}) {
    const std::size_t first = outcome.err.find(what);
    CHECK(first != std::string::npos);
    CHECK(outcome.err.find(what, first + 1) == std::string::npos);
  }
}

TEST_CASE("an image that cannot be read ends a run, which saves first") {
  const TemporaryFolder folder;
  const std::string images = folder / "images", run = folder / "run";
  copy_run(folder / "whole");
  succeed({"sample", folder / "whole", "--count", "30", "--steps", "1", "--columns", "30", "--out",
           folder / "x.png"});
  fs::create_directories(images);
  for (int i = 0; i < 40; ++i) fs::copy(folder / "x.png", images + fmt::format("/{:02}.png", i));
  // Its header, which is read at the start, is whole.
  fs::resize_file(images + "/20.png", 60);
  Arguments arguments = training(run, {"--steps", "50", "--preview-every", "100"});
  arguments[2] = images;
  const Outcome outcome = run_program(arguments);
  CHECK(outcome.code == 1);
  CHECK(outcome.err.find("20.png") != std::string::npos);
  CHECK(outcome.err.find("is saved; go on with") != std::string::npos);
  const RunFolder opened = RunFolder::open(run);
  REQUIRE_FALSE(opened.checkpoints().empty());
  CHECK(opened.checkpoints().back() >= 1);
  CHECK_NOTHROW(opened.load_model());
}

TEST_CASE("checkpoints: every damage is noticed, and the newest that is whole goes on") {
  const auto go_back = [](const std::string& file, const auto& change, const std::string& words) {
    CAPTURE(file);
    CAPTURE(words);
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    copy_run(run);
    change(step_of(run, 4) + "/" + file);
    const Outcome outcome = run_program(resumed(run, {"--steps", "4"}));
    CHECK(outcome.code == 0);
    CHECK_MESSAGE(outcome.err.find(words) != std::string::npos, outcome.err);
    CHECK(outcome.err.find("going on from step 3") != std::string::npos);
    copy_run(folder / "whole");
    CHECK(weights_of(run, 4) == weights_of(folder / "whole", 4));
    CHECK(fs::exists(step_of(run, 4) + ".aside"));
  };
  for (const char* name : {"raw.safetensors", "ema.safetensors", "state.safetensors"}) {
    const std::string file = name;
    go_back(file, damage, "damaged: the checksum of");
    go_back(
        file, [](const std::string& path) { fs::resize_file(path, 1000); }, "truncated");
    go_back(
        file, [](const std::string& path) { fs::remove(path); }, "cannot read it");
    go_back(
        file,
        [](const std::string& path) {
          std::string other = path;
          other.replace(other.find("00000004"), 8, "00000003");
          fs::copy_file(other, path, fs::copy_options::overwrite_existing);
        },
        "it is of step 3, its folder of 4");
  }
  go_back(
      "manifest.json", [](const std::string& path) { write_file(path, "{}"); },
      "it says nothing of");

  const TemporaryFolder folder;
  const std::string run = folder / "run";
  copy_run(run);
  damage(step_of(run, 4) + "/ema.safetensors");
  const Arguments sample{"sample", run, "--count", "1", "--steps", "1", "--out", folder / "x.npy"};
  check_refused(sample, 1, "older ones are those of --checkpoint 1, 2, 3");
  succeed(sample + Arguments{"--checkpoint", "3"});
  for (int step = 1; step <= 3; ++step) damage(step_of(run, step) + "/state.safetensors");
  damage(step_of(run, 4) + "/raw.safetensors");
  check_refused(resumed(run, {"--steps", "5"}), 1, "there is no older one");
}

TEST_CASE("weights that are not finite are not saved, sampled or exported") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  copy_run(run);
  for (const char* file : {"raw", "ema"}) {
    poison(step_of(run, 4) + "/" + file + ".safetensors");
    fs::remove(step_of(run, 4) + "/manifest.json");
  }
  check_refused({"sample", run, "--out", folder / "x.npy"}, 1, "not finite");
  check_refused({"sample", run, "--weights", "raw", "--out", folder / "x.npy"}, 1, "not finite");
  check_refused({"export", run, "--out", folder / "model"}, 1, "not finite");
  CHECK_FALSE(fs::exists(folder / "x.npy"));
  CHECK_FALSE(fs::exists(folder / "model"));
}

TEST_CASE("a save looks at the weights, whatever training thought of them") {
  const TemporaryFolder folder;
  copy_run(folder / "run");
  const RunFolder run = RunFolder::open(folder / "run");
  for (const float wrong :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const auto model = run.load_model();
    std::vector<NamedParameter> parameters = named_parameters(*model);
    Trainer trainer(parameters, {}, run.config().training);
    trainer.skip();
    Tensor value = parameters.back().variable.value();  // shares its memory
    value.mutable_data<float>()[0] = wrong;
    CHECK_THROWS_WITH_AS(run.save_checkpoint(trainer, 0, 1, false), doctest::Contains("not finite"),
                         Error);
  }
  CHECK(run.checkpoints() == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK_NOTHROW(run.load_model(RunFolder::Weights::raw, 1));
}

TEST_CASE("--on-nan: stop keeps the last good weights, skip passes over, rollback goes back") {
  // Adam's first steps of this size throw the network out of all numbers.
  const Arguments wild{"--lr",         "10", "--clip", "0", "--warmup", "0", "--weight-decay", "10",
                       "--save-every", "1",  "--keep", "9", "--steps",  "30"};
  const auto ran = [&](const std::string& run, const std::string& mode) {
    const Outcome outcome = run_program(training(run, wild + Arguments{"--on-nan", mode}));
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find("not finite; lower the learning rate") != std::string::npos);
    const RunFolder opened = RunFolder::open(run);
    REQUIRE_FALSE(opened.checkpoints().empty());
    CHECK_NOTHROW(opened.load_model(RunFolder::Weights::raw));
    return outcome.err;
  };
  const TemporaryFolder folder;
  ran(folder / "stop", "stop");
  CHECK(ran(folder / "rollback", "rollback").find("at learning rate 5") != std::string::npos);
  CHECK(RunFolder::open(folder / "rollback").config().training.learning_rate < 10);
  // All later steps are skipped, until the plan is done.
  const Outcome skipped =
      run_program(training(folder / "skip", wild + Arguments{"--on-nan", "skip"}));
  CHECK(skipped.code == 0);
  CHECK(skipped.err.find("; skipped") != std::string::npos);
  CHECK(RunFolder::open(folder / "skip").checkpoints().back() == 30);

  copy_run(folder / "lower");
  succeed(resumed(folder / "lower", {"--lr", "0.001", "--steps", "5"}));
  CHECK(RunFolder::open(folder / "lower").config().training.learning_rate == 0.001);
  check_refused(resumed(folder / "lower", {"--lr", "0.5", "--steps", "6"}), 2,
                "may lower its rate, which is 0.001");
}

TEST_CASE("metrics that cannot be read are not replaced") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  copy_run(run);
  fs::rename(run + "/metrics.jsonl", folder / "kept");
  fs::create_directory(run + "/metrics.jsonl");
  check_refused(resumed(run, {"--steps", "5"}), 1, "metrics.jsonl: it is a folder");
  CHECK(fs::is_directory(run + "/metrics.jsonl"));
}

TEST_CASE("a class-conditional model without a null class is drawn without guidance") {
  const TemporaryFolder folder;
  copy_run(folder / "run");
  succeed({"export", folder / "run", "--out", folder / "model"});
  auto config = nlohmann::json::parse(contents_of(folder / "model/config.json"));
  config["null_class"] = false;
  write_file(folder / "model/config.json", config.dump());
  succeed({"import", folder / "model", "--out", folder / "again", "--prediction", "v"});
  const Arguments sample{"sample", folder / "again", "--count",       "3", "--steps",
                         "2",      "--out",          folder / "x.npy"};
  succeed(sample);
  CHECK(all_finite(read_npy(folder / "x.npy")));
  check_refused(sample + Arguments{"--guidance", "2"}, 2, "without a null class");
}

TEST_SUITE_END();

}  // namespace ebb::test::recovery
