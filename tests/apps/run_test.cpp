// Training runs, by the program itself: tiny networks on tiny shapes.
#include <doctest/doctest.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/pointwise.h>
#include <sys/wait.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

using namespace ebb;
using apps::RunFolder;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

using Arguments = std::vector<std::string>;

Arguments training(const std::string& out, const Arguments& more = {}) {
  Arguments arguments{"train", "--data",      "shapes", "--size",       "8", "--channels",
                      "1",     "--batch",     "4",      "--out",        out, "--preset",
                      "tiny",  "--log-every", "1",      "--save-every", "1", "--keep",
                      "10"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void check_same_bits(const std::string& a, const std::string& b) {
  const Safetensors x = read_safetensors(a), y = read_safetensors(b);
  REQUIRE(x.tensors.size() == y.tensors.size());
  for (const NamedTensor& t : x.tensors) {
    CAPTURE(t.name);
    CHECK(t.tensor.to_vector<double>() == y[t.name].to_vector<double>());
  }
}

// One run of six steps that several tests look at.
const std::string& trained_run() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    test::succeed(training(folder / "run", {"--steps", "6"}));
    return folder / "run";
  }();
  return path;
}

void copy_run(const std::string& to) { fs::copy(trained_run(), to, fs::copy_options::recursive); }

}  // namespace

TEST_SUITE_BEGIN("apps run");

TEST_CASE("train: the folder holds what it should") {
  const RunFolder run = RunFolder::open(trained_run());
  CHECK(run.checkpoints() == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
  CHECK(run.metrics().size() == 6);
  CHECK(run.metrics()[5]["step"] == 6);
  CHECK(fs::exists(run.file("samples/step-00000006.png")));
  const std::string step = run.file("checkpoints/step-00000006/");
  CHECK(read_safetensors(step + "raw.safetensors").metadata["ebb.kind"] == "weights");
  CHECK(read_safetensors(step + "ema.safetensors").metadata["ebb.kind"].starts_with("exponential"));
}

TEST_CASE("train: an existing run is never overwritten, nor another folder") {
  const Outcome again = run_program(training(trained_run(), {"--steps", "6"}));
  CHECK(again.code == 1);
  CHECK(again.err.find("--resume") != std::string::npos);
  const TemporaryFolder folder;
  write_file(folder / "precious.txt", "x");
  const Outcome other = run_program(training(folder.path().string(), {"--steps", "6"}));
  CHECK(other.code == 1);
  CHECK(other.err.find("no empty folder") != std::string::npos);
  const Outcome changed =
      run_program({"train", "--resume", "--out", trained_run(), "--lr", "0.5", "--steps", "8"});
  CHECK(changed.code == 2);
  CHECK(changed.err.find("--lr") != std::string::npos);
}

TEST_CASE("train: stopped and resumed, the same bits as without a stop") {
  const TemporaryFolder folder;
  const std::string path = folder / "copy";
  copy_run(path);
  for (const char* step : {"4", "5", "6"})
    fs::remove_all(path + "/checkpoints/step-0000000" + step);
  test::succeed(
      {"train", "--resume", "--out", path, "--steps", "6", "--log-every", "1", "--threads", "3"});
  for (const char* file : {"raw", "ema", "state"}) {
    const std::string name = std::string("/checkpoints/step-00000006/") + file + ".safetensors";
    check_same_bits(trained_run() + name, path + name);
  }
  const auto before = RunFolder::open(trained_run()).metrics(),
             after = RunFolder::open(path).metrics();
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i]["loss"] == before[i]["loss"]);
}

TEST_CASE("train: Ctrl-C saves, stops and says how to go on") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  const auto stop_early = [&](pid_t child) {
    for (int tries = 0; tries < 6000; ++tries) {
      if (fs::exists(path + "/checkpoints/step-00000002")) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(child, SIGINT);
  };
  const Outcome outcome =
      run_program(training(path, {"--steps", "1000000"}), {.meanwhile = stop_early});
  CHECK(outcome.code == 1);
  CHECK(outcome.err.find("stopped after step") != std::string::npos);
  CHECK(outcome.err.find("--resume") != std::string::npos);
  const RunFolder run = RunFolder::open(path);
  REQUIRE_FALSE(run.checkpoints().empty());
  CHECK(run.checkpoints().back() == run.metrics().back()["step"]);
  CHECK_NOTHROW(run.load_model());
}

TEST_CASE("train: a full disk loses nothing that was saved") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  copy_run(path);
  const Outcome outcome =
      run_program({"train", "--resume", "--out", path, "--steps", "9"}, {.largest_file = 100'000});
  CHECK(outcome.code == 1);
  CHECK(outcome.err.find("cannot write") != std::string::npos);
  const RunFolder run = RunFolder::open(path);
  REQUIRE_FALSE(run.checkpoints().empty());
  CHECK(run.checkpoints().back() == 6);
  CHECK_NOTHROW(run.load_model());
  for (const auto& entry : fs::directory_iterator(path + "/checkpoints"))
    CHECK(entry.path().extension() != ".part");
}

TEST_CASE("checkpoints: damaged, exchanged and missing ones are refused by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "run", step = path + "/checkpoints/step-00000006/";
  copy_run(path);
  const RunFolder run = RunFolder::open(path);
  fs::copy_file(step + "raw.safetensors", step + "ema.safetensors",
                fs::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(run.load_model(), doctest::Contains("it holds weights, not exponential"),
                       Error);
  fs::resize_file(step + "ema.safetensors", fs::file_size(step + "ema.safetensors") - 100);
  CHECK_THROWS_WITH_AS(run.load_model(), doctest::Contains("ema.safetensors: truncated"), Error);
  CHECK_NOTHROW(run.load_model(RunFolder::Weights::raw));
  CHECK_NOTHROW(run.load_model(RunFolder::Weights::ema, 3));
  CHECK_THROWS_WITH_AS(run.load_model(RunFolder::Weights::ema, 7),
                       doctest::Contains("1, 2, 3, 4, 5, 6"), Error);
}

TEST_CASE("sample: the same bits in any batch, for any threads; labels beside") {
  const TemporaryFolder folder;
  const auto sample = [&](const std::string& name, const Arguments& more) {
    Arguments arguments{"sample",    trained_run(), "--out",     folder / name, "--count",
                        "7",         "--steps",     "3",         "--seed",      "5",
                        "--classes", "3,1",         "--sampler", "euler_a"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = test::succeed(arguments);
    CHECK(outcome.out.starts_with(folder / name + "\n"));
  };
  sample("a.npy", {"--batch", "7", "--threads", "1"});
  sample("b.npy", {"--batch", "2", "--threads", "3"});
  sample("c.npy", {"--batch", "3", "--seed", "6"});
  const Tensor a = read_npy(folder / "a.npy");
  CHECK(a.shape() == Shape{7, 8, 8, 1});
  CHECK(a.to_vector<float>() == read_npy(folder / "b.npy").to_vector<float>());
  CHECK(a.to_vector<float>() != read_npy(folder / "c.npy").to_vector<float>());
  CHECK(read_npy(folder / "a_labels.npy").to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{3, 1, 3, 1, 3, 1, 3});
  sample("x.png", {"--trajectory", folder / "way.png"});
  CHECK(apps::read_png(folder / "x.png").height > 8);
  CHECK(apps::read_png(folder / "way.png").height > 8);
}

TEST_CASE("sample: guidance away from a class, and in an interval") {
  const TemporaryFolder folder;
  const auto sample = [&](const Arguments& more) {
    Arguments arguments{"sample",    trained_run(), "--out",     folder / "x.npy",
                        "--count",   "2",           "--steps",   "3",
                        "--classes", "3,1",         "--clip",    "none",
                        "--weights", "raw",         "--guidance"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    test::succeed(arguments);
    return read_npy(folder / "x.npy");
  };
  const Tensor plain = sample({"1"}), guided = sample({"4"});
  const double effect = relative_error(guided, plain);
  CHECK(effect > 0);
  // Away from where it goes to is nowhere.
  CHECK(relative_error(sample({"4", "--negative", "3,1"}), plain) < 0.1 * effect);
  CHECK(relative_error(sample({"4", "--negative", "2"}), guided) > 0.1 * effect);
  CHECK(relative_error(sample({"4", "--guidance-interval", "0,inf"}), guided) == 0);
  CHECK(relative_error(sample({"4", "--guidance-interval", "1e8,1e9"}), plain) == 0);
  const Tensor some = sample({"4", "--guidance-interval", "0,1"});
  CHECK(relative_error(some, plain) > 0.1 * effect);
  CHECK(relative_error(some, guided) > 0.1 * effect);
}

TEST_CASE("sample: what cannot be drawn is said") {
  const auto refused = [](const Arguments& more, const char* words) {
    Arguments arguments{"sample", trained_run(), "--out", "/nowhere/x.png", "--count", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run_program(arguments);
    CHECK(outcome.code != 0);
    CHECK_MESSAGE(outcome.err.find(words) != std::string::npos, outcome.err);
  };
  refused({"--classes", "0-10"}, "10 is out of range");
  refused({"--steps", "1001"}, "1000");
  refused({"--steps", "-1"}, "-1");
  refused({"--guidance", "nan"}, "guidance");
  refused({"--guidance-interval", "2,1"}, "2 is above 1");
  refused({"--negative", "11"}, "11 is out of range");
  refused({"--eta", "1.5", "--sampler", "ddim"}, "eta");
  refused({"--steps", "2"}, "/nowhere/x.png");
}

TEST_SUITE_END();

TEST_CASE("--device: a run, its samples and its figures are the CPU's on every device") {
  const TemporaryFolder folder;
  const auto samples = [&](const std::string& device) {
    const std::string out = folder / device, file = folder / device + ".npy";
    const Arguments on{"--device", device};
    test::succeed(training(out, {"--steps", "3"}) + on);
    test::succeed(Arguments{"train", "--out", out, "--resume", "--steps", "4"} + on);
    test::succeed(Arguments{"sample", out, "--count", "3", "--steps", "3", "--trajectory",
                            folder / device + ".png", "--out", file} +
                  on);
    test::succeed(Arguments{"sample", out, "--count", "2", "--steps", "3", "--strength", "0.5",
                            "--from", "data", "--out", folder / device + "2.png"} +
                  on);
    return read_npy(file);
  };
  const Tensor cpu = samples("cpu");
  CHECK(relative_error(samples("test"), cpu) == 0);
  CHECK(relative_error(samples("reference"), cpu) < 1e-5);
  test::succeed({"evaluate", folder / "test", "--count", "10", "--steps", "2", "--classifier-steps",
                 "1", "--cache", folder / "judge", "--device", "test"});
  test::check_refused(training(folder / "cuda", {"--device", "cuda"}), 1, "no CUDA kernels");
  test::check_refused(training(folder / "x", {"--device", "tpu"}), 2, "--device");
  CHECK_FALSE(fs::exists(folder / "cuda"));
}
