#include <ebb/apps/data/latents.h>
#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/tokenizer_json.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/content_hash.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/io/safetensors.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

// With all above it that are not there; they outlive a power cut.
void create_folders(const std::string& path) {
  std::error_code error;
  std::vector<std::string> changed;
  for (fs::path p = fs::absolute(path); !fs::exists(p, error); p = p.parent_path())
    changed.push_back(p.parent_path().string());
  fs::create_directories(path, error);
  check(!error, "{}: cannot make this folder: {}; choose another place", path, error.message());
  for (const std::string& folder : changed) sync_folder(folder);
}

// What create() and a process that was killed in it leave.
bool is_unfinished(const fs::path& path) {
  const std::string name = path.filename().string();
  std::error_code error;
  if (name == "checkpoints" || name == "samples") return fs::is_empty(path, error);
  return name == "lock" || is_temporary(name);
}

bool nothing_in(const std::string& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error))
    if (!is_unfinished(entry.path())) return false;
  return !error;
}

// `path`, or where it is taken `path` and a number.
std::string free_name(const std::string& path) {
  std::string name = path;
  for (int i = 2; fs::exists(name); ++i) name = fmt::format("{}-{}", path, i);
  return name;
}

// That of a run on latents; an Error if it is another than the run was trained behind.
std::shared_ptr<AutoencoderKL> read_autoencoder(const std::string& run, const std::string& hash) {
  const std::string folder = run + "/autoencoder";
  std::shared_ptr<AutoencoderKL> autoencoder = read_diffusers_autoencoder(folder);
  const std::string found = content_hash(*autoencoder);
  check(
      found == hash,
      "{}: its content is {}, the run was trained behind {}; give back the one that belongs there",
      folder, found, hash);
  return autoencoder;
}

void remove_temporaries(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (is_temporary(entry.path().filename().string())) fs::remove_all(entry.path(), error);
}

}  // namespace

RunFolder RunFolder::open(const std::string& path) {
  const std::string file = path + "/config.json";
  check(fs::exists(file), "{}: there is no training run (no config.json); make one with ebb train",
        path);
  try {
    RunConfig config = run_config_from_json(nlohmann::json::parse(read_file(file, 16 << 20)));
    if (config.text)
      config.text->tokenizer = std::make_shared<const BpeTokenizer>(read_tokenizer(path));
    if (config.latent) config.latent->autoencoder = read_autoencoder(path, config.latent->hash);
    return RunFolder(path, std::move(config));
  } catch (const nlohmann::json::exception&) {
    fail("{}: damaged: it is no JSON; bring it back from a copy", file);
  } catch (const Error& error) {
    fail("{}: {}", file, error.what());
  }
}

RunFolder RunFolder::create(const std::string& path, const RunConfig& config) {
  check(!fs::exists(path + "/config.json"),
        "{}: there is a training run already; continue it with --resume, or choose another --out",
        path);
  const bool existed = fs::exists(path);
  check(!existed || (fs::is_directory(path) && nothing_in(path)),
        "{}: it exists and is no empty folder; choose another --out", path);
  RunFolder run(path, config);
  try {
    create_folders(run.file("checkpoints"));
    create_folders(run.file("samples"));
    if (config.text) write_tokenizer(path, *config.text->tokenizer);
    if (config.latent)
      write_diffusers_autoencoder(*config.latent->autoencoder, config.image.height,
                                  run.file("autoencoder"));
    if (config.student && !config.student->teacher.empty())
      write_safetensors(run.file("teacher.safetensors"), config.student->weights,
                        {{"format", "pt"}});
    // Last: a folder is a run when it has one.
    write_file(run.file("config.json"), to_json(config).dump(2) + "\n");
  } catch (...) {
    std::error_code ignored;
    for (const char* name : {"config.json", "tokenizer.json", "words.txt", "teacher.safetensors",
                             "checkpoints", "samples"})
      fs::remove(run.file(name), ignored);
    fs::remove_all(run.file("autoencoder"), ignored);
    if (!existed) fs::remove(path, ignored);
    throw;
  }
  return run;
}

RunLock RunFolder::lock() const {
  RunLock lock(file("lock"));
  for (const std::string& folder : {path_, file("checkpoints"), file("samples")})
    remove_temporaries(folder);
  return lock;
}

void RunFolder::lower_learning_rate(double rate) {
  const double old = config_.training.learning_rate;
  check_usage(rate <= old, "--lr {}: a resumed run may lower its rate, which is {}", rate, old);
  if (rate == old) return;
  RunConfig changed = config_;
  changed.training.learning_rate = rate;
  write_file(file("config.json"), to_json(changed).dump(2) + "\n");
  config_ = std::move(changed);
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
  return checkpoint_seconds(existing_checkpoint(step));
}

void RunFolder::save_checkpoint(const Trainer& trainer, double seconds, std::int64_t keep,
                                bool for_good) const {
  write_checkpoint(checkpoint_path(trainer.steps()), trainer, {seconds, to_json(config_).dump()},
                   for_good);
  std::vector<std::int64_t> steps = checkpoints();
  std::erase_if(steps,
                [&](std::int64_t step) { return fs::exists(checkpoint_path(step) + "/kept"); });
  for (; static_cast<std::int64_t>(steps.size()) > keep; steps.erase(steps.begin())) {
    // Renamed first, since removing a folder is many steps.
    const std::string old = checkpoint_path(steps.front()), going = temporary_name(old);
    std::error_code error;
    fs::rename(old, going, error);
    if (!error) fs::remove_all(going, error);
    if (error) note(fmt::format("{}: cannot remove it: {}", old, error.message()));
  }
}

double RunFolder::load_checkpoint(Trainer& trainer, std::int64_t most) const {
  std::vector<std::int64_t> steps = checkpoints(), aside;
  std::string reason;
  double seconds = 0;
  for (; !steps.empty(); steps.pop_back()) {
    try {
      check(steps.back() <= most, "{}: passed over", checkpoint_path(steps.back()));
      seconds = read_checkpoint(checkpoint_path(steps.back()), steps.back(), trainer);
      break;
    } catch (const CannotRead&) {
      throw;  // it may be as good as ever
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
      aside.push_back(steps.back());
    }
  }
  if (aside.empty()) return seconds;
  check(!steps.empty(), "{}; there is no older one", reason);
  for (const std::int64_t step : aside) {
    std::error_code error;
    fs::rename(checkpoint_path(step), free_name(checkpoint_path(step) + ".aside"), error);
    check(!error, "{}: cannot rename it: {}", checkpoint_path(step), error.message());
  }
  note(fmt::format("{}; set aside, going on from step {}", reason, steps.back()));
  return seconds;
}

template <class Network>
void RunFolder::load_weights(Network& network, Weights weights, std::int64_t step) const {
  const bool newest = step < 0;
  if (newest) step = newest_checkpoint();
  const std::string path = existing_checkpoint(step);
  try {
    load_state_dict(network, read_weights(path, step, weights));
  } catch (const Error& error) {
    const std::vector<std::int64_t> steps = checkpoints();
    if (!newest || steps.size() < 2) throw;
    fail("{}; older ones are those of --checkpoint {}", error.what(),
         fmt::join(steps.begin(), steps.end() - 1, ", "));
  }
}

std::unique_ptr<Model> RunFolder::load_model(Weights weights, std::int64_t step,
                                             Device device) const {
  std::unique_ptr<Model> model = make_model(config_, device);
  load_weights(*model, weights, step);
  return model;
}

std::unique_ptr<AutoencoderKL> RunFolder::load_autoencoder(Weights weights,
                                                           std::int64_t step) const {
  std::unique_ptr<AutoencoderKL> autoencoder = make_autoencoder(config_);
  load_weights(*autoencoder, weights, step);
  return autoencoder;
}

std::vector<NamedTensor> RunFolder::teacher_weights() const {
  if (!config_.student || config_.student->teacher.empty()) return {};
  const std::string path = file("teacher.safetensors");
  std::vector<NamedTensor> weights = read_safetensors(path).tensors;
  const std::string found = content_hash(weights);
  check(found == config_.student->teacher,
        "{}: its content is {}, the run was taught by {}; give back the one that belongs there",
        path, found, config_.student->teacher);
  return weights;
}

void RunFolder::append_metrics(const nlohmann::json& line) const {
  append_to_file(file("metrics.jsonl"), line.dump() + '\n');
}

std::vector<nlohmann::json> RunFolder::metrics() const {
  std::vector<nlohmann::json> lines;
  const std::string path = this->file("metrics.jsonl");
  if (!fs::exists(path)) return lines;
  std::istringstream text(read_file(path));
  for (std::string line; std::getline(text, line);) {
    // The last line of a run that was killed may be cut off.
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool known = parsed.is_object() && parsed.contains("step") && parsed["step"].is_number();
    if (known) lines.push_back(std::move(parsed));
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
