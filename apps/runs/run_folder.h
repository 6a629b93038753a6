// The folder of a training run:
//
//   config.json      what is trained (run_config.h)
//   tokenizer.json   and words.txt, where captions are told
//   autoencoder/     and latents.safetensors, where latents are learned
//   teacher.safetensors   of a student
//   metrics.jsonl    one JSON object a line: step, loss, grad_norm, learning_rate, seconds, ...
//   checkpoints/     step-00001000/, the last few (checkpoint.h)
//   samples/         step-00001000.png
//   loss.png
//   lock             held by the process that trains into it
#pragma once

#include <ebb/apps/runs/checkpoint.h>
#include <ebb/apps/runs/run_config.h>
#include <ebb/apps/runs/run_lock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ebb::apps {

class RunFolder {
 public:
  // An existing run; an Error if there is none at `path` or its config.json is damaged.
  static RunFolder open(const std::string& path);
  // A new one. A folder that holds a run already, or anything else, is an Error. Where it fails,
  // nothing of it stays.
  static RunFolder create(const std::string& path, const RunConfig& config);

  // Before anything is changed in a run that was opened: takes its lock, and removes what a process
  // that was killed left unfinished.
  RunLock lock() const;

  const std::string& path() const { return path_; }
  const RunConfig& config() const { return config_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

  // Changes it in config.json too, for this run from now on. A UsageError if it is above the old
  // one.
  void lower_learning_rate(double rate);

  // Steps of the checkpoints that are there, ascending.
  std::vector<std::int64_t> checkpoints() const;
  std::int64_t newest_checkpoint() const;  // an Error if there is none
  // Saves (write_checkpoint); then all but the last `keep`, and those saved with `for_good`, are
  // removed. `seconds` of training so far go with it.
  void save_checkpoint(const Trainer& trainer, double seconds, std::int64_t keep,
                       bool for_good = false) const;
  // The seconds of training until the checkpoint at `step`.
  double seconds_at(std::int64_t step) const;
  // The newest that is whole, of at most step `most`, into `trainer`; returns its seconds. Newer
  // ones are set aside under another name and named to the user. Without any checkpoint the
  // trainer stays at its start; an Error if there are some and none will do.
  double load_checkpoint(Trainer& trainer, std::int64_t most = INT64_MAX) const;

  using Weights = apps::Weights;
  // The network with the weights of the checkpoint at `step` (-1: the newest).
  std::unique_ptr<Model> load_model(Weights weights = Weights::ema, std::int64_t step = -1,
                                    Device device = Device::cpu) const;

  // The same of a run of model autoencoder.
  std::unique_ptr<AutoencoderKL> load_autoencoder(Weights weights = Weights::ema,
                                                  std::int64_t step = -1) const;

  // Of a student; an Error if they are others than it was taught by. None of another run.
  std::vector<NamedTensor> teacher_weights() const;

  // An Error where metrics.jsonl is there and cannot be read or written.
  void append_metrics(const nlohmann::json& line) const;
  std::vector<nlohmann::json> metrics() const;
  // Forgets the metrics of steps above `step`, which a resumed run takes again.
  void trim_metrics(std::int64_t step) const;

 private:
  RunFolder(std::string path, RunConfig config)
      : path_(std::move(path)), config_(std::move(config)) {}
  std::string checkpoint_path(std::int64_t step) const;
  template <class Network>
  void load_weights(Network& network, Weights weights, std::int64_t step) const;
  // The same, an Error if there is none at `step`.
  std::string existing_checkpoint(std::int64_t step) const;

  std::string path_;
  RunConfig config_;
};

}  // namespace ebb::apps
