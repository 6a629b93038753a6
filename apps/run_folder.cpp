#include <ebb/apps/run_folder.h>
#include <ebb/nn/atomic_file.h>
#include <ebb/nn/safetensors.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;
using Metadata = std::map<std::string, std::string>;

constexpr const char* raw_kind = "weights";
constexpr const char* ema_kind = "exponential moving average of weights";
constexpr const char* state_kind = "training state";

// std::filesystem's exceptions as Errors that say what to do.
void create_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  check(!error, "{}: cannot make this folder: {}; choose another place", path, error.message());
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), "{}: cannot open it: {}", path, std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

Safetensors read_kind(const std::string& path, const std::string& kind) {
  Safetensors file = read_safetensors(path);
  const std::string found = file.metadata.count("ebb.kind") ? file.metadata["ebb.kind"] : "unnamed";
  check(found == kind, "{}: it holds {}, not {}; give back the file that belongs there", path,
        found, kind);
  return file;
}

// Moves the tensors named PREFIX x SUFFIX of `from` to the result, as x.
std::vector<NamedTensor> extract(std::vector<NamedTensor>& from, std::string_view prefix,
                                 std::string_view suffix) {
  std::vector<NamedTensor> taken, left;
  for (NamedTensor& t : from) {
    if (t.name.starts_with(prefix) && t.name.ends_with(suffix))
      taken.push_back(
          {t.name.substr(prefix.size(), t.name.size() - prefix.size() - suffix.size()), t.tensor});
    else
      left.push_back(std::move(t));
  }
  from = std::move(left);
  return taken;
}

}  // namespace

RunFolder RunFolder::open(const std::string& path) {
  const std::string file = path + "/config.json";
  check(fs::exists(file), "{}: there is no training run (no config.json); make one with ebb train",
        path);
  try {
    return RunFolder(path, run_config_from_json(nlohmann::json::parse(read_text(file))));
  } catch (const nlohmann::json::exception&) {
    fail("{}: damaged: it is no JSON; bring it back from a copy", file);
  } catch (const Error& error) {
    fail("{}: {}", file, error.what());
  }
}

RunFolder RunFolder::create(const std::string& path, const RunConfig& config) {
  std::error_code error;
  check(!fs::exists(path + "/config.json"),
        "{}: there is a training run already; continue it with --resume, or choose another --out",
        path);
  check(!fs::exists(path) || (fs::is_directory(path) && fs::is_empty(path, error)),
        "{}: it exists and is no empty folder; choose another --out", path);
  RunFolder run(path, config);
  create_folders(run.file("checkpoints"));
  create_folders(run.file("samples"));
  write_file(run.file("config.json"), to_json(config).dump(2) + "\n");
  return run;
}

std::string RunFolder::checkpoint_path(std::int64_t step) const {
  return file(fmt::format("checkpoints/step-{:08}", step));
}

std::vector<std::int64_t> RunFolder::checkpoints() const {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(file("checkpoints"), error)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    const char *first = name.data() + 5, *last = name.data() + name.size();
    if (name.starts_with("step-") && std::from_chars(first, last, step).ptr == last)
      steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::int64_t RunFolder::newest_checkpoint() const {
  const std::vector<std::int64_t> steps = checkpoints();
  check(!steps.empty(), "{}: there is no checkpoint yet; train it first", path_);
  return steps.back();
}

std::string RunFolder::existing_checkpoint(std::int64_t step) const {
  const std::string path = checkpoint_path(step);
  check(fs::exists(path), "{}: there is no such checkpoint; there are those of steps {}", path,
        fmt::join(checkpoints(), ", "));
  return path;
}

double RunFolder::seconds_at(std::int64_t step) const {
  Safetensors file = read_kind(existing_checkpoint(step) + "/ema.safetensors", ema_kind);
  return std::strtod(file.metadata["ebb.seconds"].c_str(), nullptr);
}

void RunFolder::save_checkpoint(const Trainer& trainer, double seconds, std::int64_t keep,
                                bool for_good) const {
  const std::string path = checkpoint_path(trainer.steps()), part = path + ".part";
  std::vector<NamedTensor> state = trainer.state();
  const std::vector<NamedTensor> raw = extract(state, "raw.", "");
  const std::vector<NamedTensor> ema = extract(state, "ema.", ".average");
  const auto metadata = [&](const char* kind) {
    return Metadata{{"format", "pt"},
                    {"ebb.kind", kind},
                    {"ebb.step", std::to_string(trainer.steps())},
                    {"ebb.seconds", fmt::format("{}", seconds)},
                    {"ebb.config", to_json(config_).dump()}};
  };
  fs::remove_all(part);
  create_folders(part);
  try {
    write_safetensors(part + "/raw.safetensors", raw, metadata(raw_kind));
    write_safetensors(part + "/ema.safetensors", ema, metadata(ema_kind));
    write_safetensors(part + "/state.safetensors", state, metadata(state_kind));
    if (for_good) write_file(part + "/kept", "");
    fs::remove_all(path);
    fs::rename(part, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    throw;
  }
  std::vector<std::int64_t> steps = checkpoints();
  std::erase_if(steps,
                [&](std::int64_t step) { return fs::exists(checkpoint_path(step) + "/kept"); });
  for (; static_cast<std::int64_t>(steps.size()) > keep; steps.erase(steps.begin()))
    fs::remove_all(checkpoint_path(steps.front()));
}

double RunFolder::load_checkpoint(Trainer& trainer) const {
  const std::string path = checkpoint_path(newest_checkpoint());
  Safetensors file = read_kind(path + "/state.safetensors", state_kind);
  std::vector<NamedTensor> state = std::move(file.tensors);
  for (const NamedTensor& t : read_kind(path + "/raw.safetensors", raw_kind).tensors)
    state.push_back({"raw." + t.name, t.tensor});
  for (const NamedTensor& t : read_kind(path + "/ema.safetensors", ema_kind).tensors)
    state.push_back({"ema." + t.name + ".average", t.tensor});
  trainer.load_state(state);
  return std::strtod(file.metadata["ebb.seconds"].c_str(), nullptr);
}

std::unique_ptr<Model> RunFolder::load_model(Weights weights, std::int64_t step) const {
  const std::string path = existing_checkpoint(step < 0 ? newest_checkpoint() : step);
  std::unique_ptr<Model> model = make_model(config_);
  const bool ema = weights == Weights::ema;
  load_state_dict(*model, read_kind(path + (ema ? "/ema.safetensors" : "/raw.safetensors"),
                                    ema ? ema_kind : raw_kind)
                              .tensors);
  return model;
}

void RunFolder::append_metrics(const nlohmann::json& line) const {
  std::ofstream file(this->file("metrics.jsonl"), std::ios::app);
  file << line.dump() << '\n' << std::flush;
  check(file.good(), "{}: cannot write it: {}; free some space", this->file("metrics.jsonl"),
        std::strerror(errno));
}

std::vector<nlohmann::json> RunFolder::metrics() const {
  std::vector<nlohmann::json> lines;
  std::ifstream file(this->file("metrics.jsonl"));
  for (std::string line; std::getline(file, line);) {
    // The last line of a run that was killed may be cut off.
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object() && parsed.contains("step")) lines.push_back(std::move(parsed));
  }
  return lines;
}

void RunFolder::trim_metrics(std::int64_t step) const {
  std::string kept;
  for (const nlohmann::json& line : metrics())
    if (line["step"] <= step) kept += line.dump() + '\n';
  write_file(file("metrics.jsonl"), kept);
}

}  // namespace ebb::apps
