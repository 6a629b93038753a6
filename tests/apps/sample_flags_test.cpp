// The flags of grids and schedules: each changes the images, and is refused where it does not fit.
#include <doctest/doctest.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

namespace ebb::test {
namespace sample_flags {

Arguments train(const std::string& out, const Arguments& more) {
  return Arguments{"train", "--data", "shapes", "--size",   "8",    "--channels", "1", "--batch",
                   "4",     "--out",  out,      "--preset", "tiny", "--steps",    "2"} +
         more;
}

Tensor images(const std::string& run, const Arguments& more) {
  const TemporaryFolder folder;
  succeed(Arguments{"sample", run, "--out", folder / "x.npy", "--steps", "4", "--count", "2",
                    "--clip", "none"} +
          more);
  return read_npy(folder / "x.npy");
}

nlohmann::json config_of(const std::string& run) {
  std::ifstream file(run + "/config.json");
  return nlohmann::json::parse(file);
}

}  // namespace sample_flags

TEST_CASE("ebb sample: flags of the grid and the schedule change the images") {
  using namespace sample_flags;
  const TemporaryFolder folder;
  const std::map<std::string, Arguments> runs{
      {"cosine", {}},
      {"linear", {"--schedule", "linear"}},
      {"flow", {"--schedule", "flow", "--prediction", "flow"}}};
  for (const auto& [name, flags] : runs) succeed(train(folder / name, flags));
  struct Row {
    std::string run;
    Arguments without, with;
  };
  const Arguments karras{"--spacing", "karras"}, leading{"--spacing", "leading"};
  const std::vector<Row> rows{
      {"cosine", leading, {"--steps-offset", "1"}},
      {"cosine", {"--spacing", "leading_multistep"}, {"--steps-offset", "7"}},
      {"cosine", {}, {"--final-alpha-bar", "first"}},
      {"linear", {}, {"--zero-terminal-snr"}},
      {"cosine", karras, {"--sigma-min", "0.2"}},
      {"cosine", karras, {"--sigma-max", "20"}},
      {"cosine", karras, {"--round-times"}},
      {"cosine",
       {"--sampler", "dpmpp_2m", "--spacing", "trailing", "--final-alpha-bar", "first"},
       {"--lower-order-final", "false"}},
      // Into clean data the second order is the first in any case.
      {"cosine", {"--sampler", "dpmpp_3m"}, {"--lower-order-final", "false"}},
      {"cosine", {"--sampler", "unipc_3"}, {"--lower-order-final", "false"}},
      {"cosine",
       {"--sampler", "deis_3", "--spacing", "trailing", "--final-alpha-bar", "first"},
       {"--lower-order-final", "false"}},
      {"flow", {}, {"--shift", "3"}},
      {"flow", {}, {"--shift", "dynamic"}},
      {"cosine", {}, {"--spacing", "linspace_multistep"}},
      {"cosine", {}, {"--spacing", "leading_multistep"}},
      {"cosine", {}, {"--spacing", "beta"}},
      {"cosine", {}, {"--spacing", "ays_sd"}},
      {"cosine", {}, {"--spacing", "ays_sdxl"}},
      {"cosine", {}, {"--spacing", "ays_svd"}}};
  for (const Row& row : rows) {
    CAPTURE(row.with[0]);
    const Tensor plain = images(folder / row.run, row.without);
    const Tensor changed = images(folder / row.run, row.without + row.with);
    CHECK(all_finite(changed));
    // What changes nothing gives the same bits.
    CHECK(sum(abs(plain - changed)).item() > 0);
  }
  const auto refused = [&](const std::string& run, const Arguments& flags, int code,
                           const std::string& words) {
    check_refused(Arguments{"sample", folder / run, "--out", folder / "y.png"} + flags, code,
                  words);
  };
  refused("cosine", {"--shift", "3"}, 2, "only flow does");
  refused("flow", {"--shift", "0"}, 2, "give a number above 0, or dynamic");
  refused("flow", {"--shift", "3x"}, 2, "give a number above 0, or dynamic");
  refused("flow", {"--zero-terminal-snr"}, 2, "ends in pure noise as it is");
  refused("cosine", {"--steps-offset", "3"}, 1, "takes no steps offset");
  refused("cosine", {"--sigma-min", "-1"}, 2, "--sigma-min");
  refused("cosine", {"--spacing", "karras", "--sigma-max", "1e9"}, 1, "outside the path's");
  refused("cosine", {"--round-times"}, 1, "rounded times are for");
  refused("cosine", {"--lower-order-final", "true"}, 1, "no order to lower");
  refused("cosine", {"--final-alpha-bar", "two"}, 2, "--final-alpha-bar");
}

TEST_CASE("ebb train: shift, times and zero terminal SNR are kept by the run") {
  using namespace sample_flags;
  const TemporaryFolder folder;
  succeed(train(folder / "flow", {"--schedule", "flow", "--prediction", "flow", "--shift", "3"}));
  CHECK(config_of(folder / "flow").at("shift") == 3);
  CHECK(config_of(folder / "flow").at("objective").at("times") == "uniform");
  succeed(train(folder / "zero", {"--zero-terminal-snr", "true", "--times", "logit_normal"}));
  CHECK(config_of(folder / "zero").at("objective").at("times") == "logit_normal");
  CHECK(config_of(folder / "zero").at("zero_terminal_snr") == true);
  CHECK(all_finite(images(folder / "zero", {})));
  check_refused(train(folder / "x", {"--shift", "3"}), 2, "only flow does");
  check_refused(train(folder / "x", {"--zero-terminal-snr", "true", "--prediction", "epsilon"}), 2,
                "says nothing of epsilon");
}

TEST_CASE("ebb evaluate draws by the flags of ebb sample, and ebb import keeps the path's") {
  using namespace sample_flags;
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  succeed(train(run, {"--schedule", "flow", "--prediction", "flow"}));
  const auto distance = [&](const Arguments& more) {
    succeed(Arguments{"evaluate", run, "--cache", folder / "cache", "--count", "12", "--steps", "3",
                      "--classifier-steps", "2", "--out", folder / "e.json"} +
            more);
    std::ifstream file(folder / "e.json");
    return nlohmann::json::parse(file)["samples"]["nearest_distance"].get<double>();
  };
  const double plain = distance({});
  for (const Arguments& flags :
       std::vector<Arguments>{{"--shift", "3"}, {"--clip", "none"}, {"--eta", "1"}}) {
    CAPTURE(flags[0]);
    CHECK(distance(flags) != plain);
  }
  check_refused({"evaluate", run, "--zero-terminal-snr"}, 2, "ends in pure noise as it is");
  check_refused({"evaluate", run, "--spacing", "none"}, 2, "none");

  succeed({"export", run, "--out", folder / "model"});
  succeed({"import", folder / "model", "--out", folder / "again", "--schedule", "flow",
           "--prediction", "flow", "--shift", "dynamic"});
  CHECK(config_of(folder / "again").at("shift").get<double>() > 1);
  succeed({"import", folder / "model", "--out", folder / "zero", "--prediction", "v",
           "--zero-terminal-snr"});
  CHECK(config_of(folder / "zero").at("zero_terminal_snr") == true);
  check_refused({"import", folder / "model", "--out", folder / "x", "--shift", "2"}, 2,
                "only flow does");
}

}  // namespace ebb::test
