#include <doctest/doctest.h>
#include <ebb/apps/runs/sampling.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <algorithm>
#include <limits>
#include <regex>

using namespace ebb;
using test::check_refused;
using test::Outcome;
using test::run_program;

namespace {

using apps::RunConfig;
using apps::SampleRequest;

// Says that x_0 is 3 everywhere, of any samples.
struct Three final : Model {
  Variable operator()(const Variable& x, const Tensor&, const Conditioning&) const override {
    return Tensor::full(x.shape(), 3);
  }
  void visit(Visitor&) override {}
};

RunConfig of_images() {
  RunConfig config;
  config.image = {.height = 16, .width = 16, .channels = 1, .class_names = {}};
  config.objective.prediction = Prediction::x0;
  return config;
}

}  // namespace

TEST_SUITE_BEGIN("apps command line");

TEST_CASE("arguments that cannot be meant: exit code 2 and one line") {
  check_refused({}, 2, "command is required");
  check_refused({"swim"}, 2, "swim");
  check_refused({"info", "--frobnicate"}, 2, "--frobnicate");
  check_refused({"info", "--threads", "0"}, 2, "--threads");
  check_refused({"train"}, 2, "--out");
  check_refused({"train", "--out", "/nowhere/x"}, 2, "--data");
  check_refused({"train", "--out", "/nowhere/x", "--data", "/nowhere"}, 2, "fashion-mnist");
  check_refused({"train", "--out", "/nowhere/x", "--data", "shapes", "--steps", "-3"}, 2,
                "--steps");
  check_refused({"train", "--out", "/nowhere/x", "--data", "shapes", "--model", "gan"}, 2,
                "--model");
  check_refused(
      {"train", "--out", "/nowhere/x", "--data", "shapes", "--size", "30", "--preset", "large"}, 2,
      "multiple");
  check_refused({"sample"}, 2, "folder of the run");
  check_refused({"sample", "run", "--out", "x.jpg"}, 2, ".png or .npy");
  check_refused({"sample", "run", "--sampler", "magic"}, 2, "dpmpp_2m");
  check_refused({"plot"}, 2, "subcommand");
}

TEST_CASE("what goes wrong: exit code 1 and one line") {
  check_refused({"sample", "/nowhere/run"}, 1, "no training run");
  check_refused({"plot", "loss", "/nowhere/run"}, 1, "no training run");
  check_refused({"train", "--data", "shapes", "--out", "/dev/null/x"}, 1, "/dev/null/x");
  check_refused({"train", "--resume", "--out", "/nowhere/run"}, 1, "no training run");
  const test::TemporaryFolder folder;
  write_file(folder / "config.json", "{\"data\": 3}");
  check_refused({"sample", folder.path().string()}, 1, "config.json");
  write_file(folder / "config.json", "no json");
  check_refused({"sample", folder.path().string()}, 1, "no JSON");
}

TEST_CASE("inspect tells names, types, shapes and values") {
  const test::TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  write_safetensors(folder / "w.safetensors",
                    {{"layer.weight", Tensor::from(std::vector<float>{-1, 2, 2, 5}, {2, 2})},
                     {"layer.bias", Tensor::from(std::vector<double>{3, nan})},
                     {"none", Tensor::zeros({0, 3})}},
                    {{"ebb.kind", "raw"}});
  const Outcome outcome = run_program({"inspect", folder / "w.safetensors"});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK(std::regex_replace(outcome.out, std::regex(" +"), " ") ==
        "ebb.kind: raw\n"
        "name type shape mean std min max\n"
        "layer.bias float64 (2,) 3 0 3 3 1 not finite\n"
        "layer.weight float32 (2, 2) 2 2.121 -1 5\n"
        "none float32 (0, 3) - - - -\n"
        "3 tensors, 6 values, 32 bytes\n");
  write_npy(folder / "x.npy", Tensor::arange(4, DType::int64));
  CHECK(run_program({"inspect", folder / "x.npy"}).out.find("int64") != std::string::npos);
  write_file(folder / "cut.safetensors", "12");
  check_refused({"inspect", folder / "cut.safetensors"}, 1, "cut.safetensors");
  check_refused({"inspect", folder / "missing.npy"}, 1, "missing.npy");
  check_refused({"inspect", folder.path().string()}, 1, folder.path().c_str());
}

TEST_CASE("help and version are data; a full disk and a closed pipe are noticed") {
  CHECK(run_program({"--version"}).out.starts_with("ebb "));
  const Outcome help = run_program({"train", "--help"});
  CHECK(help.code == 0);
  CHECK(help.out.find("--minutes") != std::string::npos);
  CHECK(help.err.empty());
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"info"}, {"--version"}, {"sample", "--sampler", "list"}}) {
    const Outcome full = run_program(arguments, {.stdout_to = "/dev/full"});
    CHECK(full.code == 1);
    CHECK(full.err.find("No space left") != std::string::npos);
  }
}

TEST_CASE("no escape codes off a terminal") {
  const Outcome outcome = run_program({"info"}, {.environment = {"TERM=xterm-256color"}});
  CHECK(outcome.out.find('\x1b') == std::string::npos);
}

TEST_CASE("lists of classes") {
  using apps::parse_classes;
  using Numbers = std::vector<std::int64_t>;
  CHECK(parse_classes("0-3", 10) == Numbers{0, 1, 2, 3});
  CHECK(parse_classes("7,2-3,7", 10) == Numbers{7, 2, 3, 7});
  CHECK(parse_classes("all", 3) == Numbers{0, 1, 2});
  for (const char* wrong :
       {"", "10", "-1", "3-1", "a", "1-", "1,,2", "1;2", "99999999999999999999"})
    CHECK_THROWS_WITH_AS(parse_classes(wrong, 10), doctest::Contains("classes '"), Error);
  CHECK_THROWS_WITH_AS(parse_classes("0", 0), doctest::Contains("no classes"), Error);
}

TEST_CASE("samples have the shape and the range that the network says, not the data's") {
  Three model;
  model.sample = {.height = 4, .width = 8, .channels = 5, .clip = {}};
  const SampleRequest request{.steps = 4, .count = 3, .batch = 2};
  const Tensor latents = apps::draw_samples(model, of_images(), request);
  CHECK(latents.shape() == Shape{3, 4, 8, 5});
  CHECK(amax(latents).item() > 2.9);
  model.sample.clip = {Clip::Kind::range};
  const Tensor clipped = apps::draw_samples(model, of_images(), request);
  CHECK(amax(clipped).item() < 1.1);
  SampleRequest asked = request;
  asked.clip = Clip{};
  CHECK(amax(apps::draw_samples(model, of_images(), asked)).item() > 2.9);
}

TEST_SUITE_END();
