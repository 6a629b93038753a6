#define XXH_INLINE_ALL
#include <ebb/apps/runs/checkpoint.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/pointwise.h>
#include <xxhash.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct File {
  const char* name;
  const char* kind;
};
constexpr File raw_file{"raw.safetensors", "weights"};
constexpr File ema_file{"ema.safetensors", "exponential moving average of weights"};
constexpr File state_file{"state.safetensors", "training state"};
constexpr const char* manifest_name = "manifest.json";

std::string checksum(const Tensor& tensor) {
  const Tensor host = tensor.to(Device::cpu);
  return fmt::format("{:016x}", XXH3_64bits(host.raw(), host.bytes()));
}

Json checksums(const std::vector<NamedTensor>& tensors) {
  Json result = Json::object();
  for (const NamedTensor& t : tensors) result[t.name] = checksum(t.tensor);
  return result;
}

void check_finite(const std::string& path, const std::vector<NamedTensor>& tensors,
                  std::string_view mend) {
  for (const NamedTensor& t : tensors)
    check(t.tensor.dtype() == DType::int64 || all_finite(t.tensor),
          "{}: the weights '{}' are not finite; {}", path, t.name, mend);
}

Safetensors read_kind(const std::string& path, const File& file) {
  const std::string name = path + "/" + file.name;
  Safetensors content = read_safetensors(name);
  const std::string found =
      content.metadata.count("ebb.kind") ? content.metadata["ebb.kind"] : "unnamed";
  check(found == file.kind, "{}: it holds {}, not {}; give back the file that belongs there", name,
        found, file.kind);
  return content;
}

// The file as it was written at `step`.
Safetensors read_whole(const std::string& path, std::int64_t step, const File& file) {
  const std::string name = path + "/" + file.name;
  Safetensors content = read_kind(path, file);
  check(content.metadata["ebb.step"] == std::to_string(step),
        "{}: it is of step {}, its folder of {}; give back the file that belongs there", name,
        content.metadata["ebb.step"], step);
  const std::string manifest = path + "/" + manifest_name;
  if (!fs::exists(manifest)) return content;  // written before there was one
  const Json expected = Json::parse(read_file(manifest), nullptr, /*allow_exceptions=*/false);
  const bool known =
      expected.is_object() && expected.contains(file.name) && expected[file.name].is_object();
  check(known, "{}: damaged: it says nothing of {}", manifest, file.name);
  const Json found = checksums(content.tensors);
  for (const auto& [tensor, sum] : expected[file.name].items())
    check(found.contains(tensor) && found[tensor] == sum,
          "{}: damaged: the checksum of '{}' is not that of {}", name, tensor, manifest_name);
  check(found.size() == expected[file.name].size(), "{}: it has tensors that {} does not know",
        name, manifest_name);
  return content;
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

double seconds_of(const Safetensors& file) {
  const auto found = file.metadata.find("ebb.seconds");
  const double seconds =
      found == file.metadata.end() ? 0 : std::strtod(found->second.c_str(), nullptr);
  return std::isfinite(seconds) && seconds > 0 ? seconds : 0;
}

}  // namespace

void write_checkpoint(const std::string& path, const Trainer& trainer, const CheckpointNotes& notes,
                      bool for_good) {
  std::vector<NamedTensor> state = trainer.state();
  const std::vector<NamedTensor> raw = extract(state, "raw.", "");
  const std::vector<NamedTensor> ema = extract(state, "ema.", ".average");
  constexpr std::string_view mend =
      "nothing was saved; go on from the checkpoint before, with a lower --lr";
  check_finite(path, raw, mend);
  check_finite(path, ema, mend);

  const std::string part = temporary_name(path);
  try {
    fs::create_directory(part);
    Json manifest{{"step", trainer.steps()}};
    const auto write = [&](const File& file, const std::vector<NamedTensor>& tensors) {
      write_safetensors(part + "/" + file.name, tensors,
                        {{"format", "pt"},
                         {"ebb.kind", file.kind},
                         {"ebb.step", std::to_string(trainer.steps())},
                         {"ebb.seconds", fmt::format("{}", notes.seconds)},
                         {"ebb.config", notes.config}});
      manifest[file.name] = checksums(tensors);
    };
    write(raw_file, raw);
    write(ema_file, ema);
    write(state_file, state);
    if (for_good) write_file(part + "/kept", "");
    write_file(part + "/" + manifest_name, manifest.dump(1) + "\n");
    const std::string old = temporary_name(path);
    if (fs::exists(path)) fs::rename(path, old);
    fs::rename(part, path);
    sync_folder(fs::path(path).parent_path().string());
    fs::remove_all(old);
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    const auto* system = dynamic_cast<const fs::filesystem_error*>(&error);
    if (system == nullptr) throw;
    fail("{}: cannot save: {}; free some space or choose another place", path,
         system->code().message());
  }
}

double read_checkpoint(const std::string& path, std::int64_t step, Trainer& trainer) {
  Safetensors file = read_whole(path, step, state_file);
  const double seconds = seconds_of(file);
  std::vector<NamedTensor> state = std::move(file.tensors);
  for (const NamedTensor& t : read_whole(path, step, raw_file).tensors)
    state.push_back({"raw." + t.name, t.tensor});
  for (const NamedTensor& t : read_whole(path, step, ema_file).tensors)
    state.push_back({"ema." + t.name + ".average", t.tensor});
  check_finite(path, state, "go on from another checkpoint");
  trainer.load_state(state);
  check(trainer.steps() == step, "{}: its state is of step {}", path, trainer.steps());
  return seconds;
}

std::vector<NamedTensor> read_weights(const std::string& path, std::int64_t step, Weights weights) {
  std::vector<NamedTensor> tensors =
      read_whole(path, step, weights == Weights::ema ? ema_file : raw_file).tensors;
  check_finite(path, tensors, "choose another --checkpoint");
  return tensors;
}

double checkpoint_seconds(const std::string& path) { return seconds_of(read_kind(path, ema_file)); }

}  // namespace ebb::apps
