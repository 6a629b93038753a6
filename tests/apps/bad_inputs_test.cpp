// What a user may get wrong, by the hundred: every flag of every command as --help names it, every
// number of a run's config.json, every reader on what is no file. One line on stderr that names the
// cause, the right exit code, and nothing left behind.
#include <doctest/doctest.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/runs/run_config.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <sys/stat.h>
#include <tests/apps/program.h>
#include <tests/capture.h>
#include <tests/temporary_folder.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

namespace ebb::test {
namespace bad_inputs {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;
using Json = nlohmann::json;

struct Flag {
  std::string name, type;
};

// The flags that `ebb COMMAND --help` lists with a value.
std::vector<Flag> flags_of(const Arguments& command) {
  Arguments arguments = command;
  arguments.push_back("--help");
  std::istringstream text(succeed(arguments).out);
  std::vector<Flag> flags;
  const std::regex form(R"(^  (--[a-z0-9-]+) ((TEXT|FLOAT|INT|UINT|BOOLEAN)\S*).*)");
  std::smatch match;
  for (std::string line; std::getline(text, line);)
    if (std::regex_match(line, match, form)) flags.push_back({match[1], match[2]});
  return flags;
}

// What no flag of that type can mean.
std::vector<std::string> bad_values(const Flag& flag) {
  if (flag.type.starts_with("FLOAT")) return {"nan", "-nan", "inf", "x", "1x", "1e999"};
  if (flag.type.starts_with("INT"))
    return {"x", "1.5", "nan", "99999999999999999999", "-99999999999999999999"};
  if (flag.type.starts_with("UINT")) return {"x", "-1", "1.5", "99999999999999999999999"};
  if (flag.type.starts_with("BOOLEAN")) return {"maybe", "3"};
  if (flag.type.find('{') != std::string::npos) return {"none of these", "\x1b[31m"};
  return {};
}

void check_one_line(const Outcome& outcome, int code) {
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.starts_with("ebb: "));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.find('\x1b') == std::string::npos);
  CHECK(outcome.err.size() < 5000);
}

std::size_t entries_in(const std::string& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::recursive_directory_iterator(folder), fs::recursive_directory_iterator()));
}

Arguments tiny(const std::string& out) {
  return {"train", "--data", "shapes", "--size",   "8",    "--channels", "1", "--batch",
          "4",     "--out",  out,      "--preset", "tiny", "--steps",    "1"};
}

// Calls f with `json` changed at one leaf, for each leaf and each of `values`.
void for_changes(const Json& json, const std::vector<Json>& values,
                 const std::function<void(const Json&, const std::string&)>& f) {
  const Json leaves = json.flatten();
  for (const auto& [pointer, old] : leaves.items())
    for (const Json& value : values) {
      Json changed = json;
      changed[Json::json_pointer(pointer)] = value;
      f(changed, pointer + " = " + value.dump());
    }
}

}  // namespace bad_inputs

TEST_CASE("bad inputs: every flag of every command") {
  using namespace bad_inputs;
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  succeed(tiny(run));
  const std::size_t before = entries_in(folder.path().string());
  struct Command {
    Arguments name, rest;
  };
  const std::vector<Command> commands{
      {{"train"}, {"--data", "shapes", "--out", folder / "x", "--steps", "1"}},
      {{"sample"}, {run, "--out", folder / "x.npy", "--count", "1", "--steps", "1"}},
      {{"evaluate"}, {run, "--cache", folder / "cache", "--out", folder / "x.json"}},
      {{"plot", "schedules"}, {"--out", folder / "x.png"}},
      {{"plot", "samplers"}, {run, "--out", folder / "x.png", "--steps", "1"}},
      {{"plot", "loss"}, {run}},
      {{"import"}, {folder / "none", "--out", folder / "x"}},
      {{"export"}, {run, "--out", folder / "x"}},
      {{"bench"}, {"--filter", "no such case"}},
      {{"tutorial"}, {"--out", folder / "x"}}};
  int count = 0;
  for (const Command& command : commands)
    for (const Flag& flag : flags_of(command.name))
      for (const std::string& value : bad_values(flag)) {
        Arguments arguments = command.name;
        arguments.insert(arguments.end(), command.rest.begin(), command.rest.end());
        arguments.push_back(flag.name + "=" + value);
        CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
        check_one_line(run_program(arguments), 2);
        ++count;
      }
  CHECK(count >= 300);
  CHECK(entries_in(folder.path().string()) == before);
}

TEST_CASE("bad inputs: what contradicts itself or cannot be done leaves no folder behind") {
  using namespace bad_inputs;
  const TemporaryFolder folder;
  const auto refused = [&](const Arguments& more, int code) {
    Arguments arguments = tiny(folder / "x");
    arguments.insert(arguments.end(), more.begin(), more.end());
    CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
    check_one_line(run_program(arguments), code);
    CHECK(entries_in(folder.path().string()) == 0);
  };
  refused({"--out", ""}, 2);
  refused({"--ema", "1"}, 1);
  refused({"--accumulation", "5"}, 2);
  refused({"--widths", "3,5"}, 1);
  refused({"--widths", "16,32,64"}, 2);
  refused({"--widths", "1000000,1000000"}, 1);
  refused({"--shift", "2"}, 2);
  refused({"--schedule", "flow", "--prediction", "epsilon"}, 2);
  refused({"--data", folder / "none"}, 2);
  refused({"--data", "mnist"}, 2);
}

TEST_CASE("bad inputs: every number, name and list of a configuration") {
  using namespace bad_inputs;
  const TemporaryFolder folder;
  succeed(tiny(folder / "run"));
  const Json config = Json::parse(contents_of(folder / "run/config.json"));
  const std::vector<Json> values{nullptr,
                                 "x",
                                 "",
                                 -1,
                                 0,
                                 1.5,
                                 1e308,
                                 -1e308,
                                 std::int64_t{1} << 40,
                                 std::int64_t{4294967296},
                                 std::int64_t{1} << 62,
                                 std::uint64_t{1} << 63,
                                 true,
                                 Json::array(),
                                 Json::object(),
                                 Json::array({1, 2})};
  int refused = 0, taken = 0;
  const auto check_config = [&](const Json& json, const std::string& what) {
    CAPTURE(what);
    try {
      apps::make_path(apps::run_config_from_json(json));
      ++taken;
    } catch (const Error& error) {
      ++refused;
      CHECK(std::string(error.what()).size() < 600);
    }
  };
  for_changes(config, values, check_config);
  for_changes(config["model"]["unet"], values, [&](const Json& json, const std::string& what) {
    CAPTURE(what);
    try {
      apps::unet2d_config_from_json(json);
    } catch (const Error&) {
      ++refused;
    }
  });
  CHECK(refused > 700);
  CHECK(taken > 20);
  for (const auto& [key, value] : config.items()) {
    Json without = config;
    without.erase(key);
    check_config(without, "without " + key);
  }
  // Every enumerator, to the letter.
  for (const auto& [pointer, name] : std::vector<std::pair<std::string, std::string>>{
           {"/objective/prediction", "v_prediction"},
           {"/objective/times", "lognormal"},
           {"/loss_weight/kind", "Simple"},
           {"/schedule", "cosines"},
           {"/model/name", "UNET"},
           {"/model/unet/act_fn", "SiLU"},
           {"/model/unet/downsample_type", ""},
           {"/model/unet/down_block_types/0", "Down"},
           {"/model/unet/resnet_time_scale_shift", "scaleshift"}}) {
    CAPTURE_BINDING(pointer);
    Json changed = config;
    changed[Json::json_pointer(pointer)] = name;
    CHECK_THROWS_AS(apps::make_model(apps::run_config_from_json(changed)), Error);
  }
  // By the program: what once crashed or ate all memory.
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"patch_size", std::int64_t{4294967296}},
                                                 {"layers_per_block", std::int64_t{1099511627776}},
                                                 {"num_class_embeds", std::int64_t{1} << 62}}) {
    CAPTURE_BINDING(key);
    Json changed = config;
    changed["model"]["unet"][key] = value;
    write_file(folder / "run/config.json", changed.dump());
    check_refused({"sample", folder / "run", "--out", folder / "x.npy"}, 1, key);
  }
}

TEST_CASE("bad inputs: pipes, folders and devices are no files; long and wild names are cut") {
  using namespace bad_inputs;
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe.npy").c_str(), 0600) == 0);
  REQUIRE(::mkfifo((folder / "pipe.safetensors").c_str(), 0600) == 0);
  fs::create_directory(folder / "images");
  REQUIRE(::mkfifo((folder / "images/a.png").c_str(), 0600) == 0);
  fs::create_directory(folder / "folder.npy");
  check_refused({"inspect", folder / "pipe.npy"}, 1, "a pipe or a device");
  check_refused({"inspect", folder / "pipe.safetensors"}, 1, "a pipe or a device");
  check_refused({"inspect", folder / "folder.npy"}, 1, "it is a folder");
  check_refused({"inspect", "/dev/zero"}, 1, "a pipe or a device");
  Arguments arguments = tiny(folder / "x");
  arguments[2] = folder / "images";
  check_one_line(run_program(arguments), 1);
  for (const char* name : {"train-images-idx3-ubyte", "data_batch_1.bin"}) {
    REQUIRE(::mkfifo((folder / name).c_str(), 0600) == 0);
    CAPTURE(name);
    arguments = tiny(folder / "x");
    arguments[2] = name[0] == 't' ? "mnist" : "cifar10";
    arguments.insert(arguments.end(), {"--data-dir", folder.path().string()});
    check_one_line(run_program(arguments), 1);
  }
  check_one_line(run_program({"inspect", "\x1b]0;title\x07\xff.npy"}), 1);
  check_one_line(run_program({"inspect", std::string(100'000, 'a')}), 1);
  write_safetensors(folder / "wild.safetensors", {{"\x1b[2J", Tensor::zeros({1})}},
                    {{"key\n", "\x1b[31mred"}});
  CHECK(succeed({"inspect", folder / "wild.safetensors"}).out.find('\x1b') == std::string::npos);
}

}  // namespace ebb::test
