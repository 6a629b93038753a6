#include <ebb/apps/evaluation/feature_classifier.h>
#include <ebb/apps/evaluation/kept_judge.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t classifier_batch = 128;
constexpr std::uint64_t classifier_seed = 1;

// Everything that fixes the classifier's bits but the pixels themselves.
std::string description(const DatasetOptions& options, const Dataset& train, std::int64_t steps) {
  const DatasetInfo& info = train.info();
  const bool is_folder = fs::is_directory(options.data);
  std::error_code error;
  return nlohmann::json{
      {"data", is_folder ? fs::weakly_canonical(options.data, error).string() : options.data},
      {"folder", options.folder},
      {"image", {info.height, info.width, info.channels}},
      {"classes", info.class_names},
      {"images", train.size()},
      {"steps", steps}}
      .dump();
}

// "classifier-shapes-32x32x3.safetensors"; for a folder its own name and a mark of where it is.
std::string file_name(const DatasetOptions& options, const Dataset& train) {
  const DatasetInfo& info = train.info();
  std::string name = options.data;
  if (fs::is_directory(options.data)) {
    std::error_code error;
    const fs::path path = fs::weakly_canonical(options.data, error);
    std::uint64_t mark = 14695981039346656037U;  // FNV-1a
    for (const char c : path.string())
      mark = (mark ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
    name = fmt::format("{}-{:08x}", path.filename().string(), mark >> 32);
  }
  return fmt::format("classifier-{}-{}x{}x{}.safetensors", name, info.height, info.width,
                     info.channels);
}

void train_classifier(Classifier& classifier, const Dataset& data, std::int64_t steps) {
  Trainer trainer(named_parameters(classifier),
                  classification_objective(classifier, /*flip=*/false), {.seed = classifier_seed});
  DataOrder order(data.size(), classifier_batch, classifier_seed);
  Progress progress("classifier", "images");
  for (std::int64_t step = 0; step < steps; ++step) {
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    const StepReport report = trainer.step(data.batch(order.indices(step)), done);
    progress.update(done, step * classifier_batch, fmt::format("loss {:.4f}", report.loss));
  }
}

}  // namespace

std::string default_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::string(cache) + "/ebb";
  const char* home = std::getenv("HOME");
  return std::string(home && *home ? home : ".") + "/.cache/ebb";
}

FeatureClassifier open_feature_classifier(const DatasetOptions& data, const Dataset& train,
                                          const FeatureClassifierOptions& options) {
  PhiloxGenerator generator(classifier_seed);
  const bool has_classes = train.classes() >= 2;
  FeatureClassifier classifier{
      Classifier(train.info().channels, std::max<std::int64_t>(2, train.classes()), generator),
      options.cache + "/" + file_name(data, train), has_classes};
  if (!has_classes) {
    note("images without classes: they are judged by the features of an untrained network");
    return classifier;
  }
  const std::int64_t enough = 50 * train.size() / classifier_batch + 1;
  const std::int64_t steps =
      options.steps > 0 ? options.steps : std::min(usual_judge_steps, enough);
  const std::string wanted = description(data, train, steps);
  if (load_judge(state_dict(classifier.network), classifier.file, wanted)) return classifier;
  train_classifier(classifier.network, train, steps);
  classifier.file = save_judge(state_dict(classifier.network), classifier.file, wanted);
  return classifier;
}

}  // namespace ebb::apps
