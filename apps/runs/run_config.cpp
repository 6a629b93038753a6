#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/clip_text_json.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/runs/run_config.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/apps/system/memory.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/schedules/schedule.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ebb::apps {
namespace {

using Json = nlohmann::json;

const Names<Prediction> prediction_names{{"epsilon", Prediction::epsilon},
                                         {"x0", Prediction::x0},
                                         {"v", Prediction::v},
                                         {"flow", Prediction::flow}};
const Names<TrainingTimes> times_names{{"uniform", TrainingTimes::uniform},
                                       {"logit_normal", TrainingTimes::logit_normal}};
const Names<LossWeight::Kind> weight_names{{"simple", LossWeight::Kind::simple},
                                           {"min_snr", LossWeight::Kind::min_snr},
                                           {"p2", LossWeight::Kind::p2},
                                           {"edm", LossWeight::Kind::edm}};

template <class T>
std::string_view name_in(const Names<T>& names, T value) {
  for (const auto& [name, known] : names)
    if (known == value) return name;
  fail("a value without a name");
}

const Names<DistillationConfig::Method> method_names{
    {"progressive", DistillationConfig::Method::progressive},
    {"consistency", DistillationConfig::Method::consistency},
    {"consistency-training", DistillationConfig::Method::consistency_training}};

constexpr std::int64_t many = 1'000'000'000;
constexpr double large = 1e30;

Json to_json(const ObjectiveConfig& o) {
  return {{"prediction", name_in(prediction_names, o.prediction)},
          {"label_dropout", o.label_dropout},
          {"times", name_in(times_names, o.times)},
          {"stratified", o.stratified},
          {"flip", o.flip}};
}
ObjectiveConfig objective_from(const JsonReader& j) {
  ObjectiveConfig o;
  o.prediction = j.choice("prediction", prediction_names);
  o.label_dropout = j.number("label_dropout", 0, 1);
  o.times = j.choice("times", times_names, std::optional(TrainingTimes::uniform));
  o.stratified = j.flag("stratified");
  o.flip = j.flag("flip");
  return o;
}

Json to_json(const LossWeight& w) {
  return {{"kind", name_in(weight_names, w.kind)},
          {"gamma", w.gamma},
          {"k", w.k},
          {"sigma_data", w.sigma_data}};
}
LossWeight weight_from(const JsonReader& j) {
  return {.kind = j.choice("kind", weight_names),
          .gamma = j.number("gamma", 0, large),
          .k = j.number("k", 0, large),
          .sigma_data = j.number("sigma_data", 0, large)};
}

Json to_json(const TrainingConfig& t) {
  return {{"learning_rate", t.learning_rate},
          {"warmup_steps", t.warmup_steps},
          {"cosine", t.cosine},
          {"last_learning_rate", t.last_learning_rate},
          {"beta1", t.beta1},
          {"beta2", t.beta2},
          {"eps", t.eps},
          {"weight_decay", t.weight_decay},
          {"clip_norm", t.clip_norm},
          {"ema_decay", t.ema_decay},
          {"accumulation", t.accumulation},
          {"seed", t.seed}};
}
TrainingConfig training_from(const JsonReader& j) {
  TrainingConfig t;
  t.learning_rate = j.number("learning_rate", 0, 10);
  t.warmup_steps = j.integer("warmup_steps", 0, many);
  t.cosine = j.flag("cosine");
  t.last_learning_rate = j.number("last_learning_rate", 0, 1);
  t.beta1 = j.number("beta1", 0, 1);
  t.beta2 = j.number("beta2", 0, 1);
  t.eps = j.number("eps", 0, 1);
  t.weight_decay = j.number("weight_decay", 0, 10);
  t.clip_norm = j.number("clip_norm", 0, large);
  t.ema_decay = j.number("ema_decay", 0, 1);
  t.accumulation = j.integer("accumulation", 1, many);
  t.seed = j.seed("seed");
  return t;
}

DatasetOptions data_from(const JsonReader& j) {
  DatasetOptions d;
  d.data = j.text("data");
  d.folder = j.text("folder");
  d.size = j.integer("size", 0, 65536);
  d.channels = j.integer("channels", 0, 4);
  return d;
}
DatasetInfo image_from(const JsonReader& j) {
  return {j.integer("height", 1, 65536), j.integer("width", 1, 65536),
          j.integer("channels", 1, 4096), j.texts("class_names"), j.flag("captions", false)};
}

}  // namespace

Json to_json(const RunConfig& config) {
  Json model{{"name", config.model}};
  if (config.model == "unet")
    model["unet"] = unet2d_config_to_json(config.unet);
  else if (config.model == "autoencoder")
    model["autoencoder"] = autoencoder_config_to_json(config.autoencoder);
  else
    model["time_features"] = config.time_features;
  if (config.student) {
    const DistillationConfig& d = config.student->distillation;
    model["student"] = {{"method", name_in(method_names, d.method)},
                        {"steps", d.steps},
                        {"first_steps", d.first_steps},
                        {"doubling", d.doubling},
                        {"guidance", d.guidance},
                        {"teacher", config.student->teacher}};
  }
  if (config.latent) model["latent"] = {{"autoencoder", config.latent->hash}};
  if (config.text) model["text"] = clip_text_config_to_json(config.text->encoder);
  const DatasetOptions& data = config.data;
  const DatasetInfo& image = config.image;
  return {{"ebb", EBB_VERSION},
          {"data",
           {{"data", data.data},
            {"folder", data.folder},
            {"size", data.size},
            {"channels", data.channels}}},
          {"image",
           {{"height", image.height},
            {"width", image.width},
            {"channels", image.channels},
            {"class_names", image.class_names},
            {"captions", image.captions}}},
          {"model", model},
          {"schedule", config.schedule},
          {"timesteps", config.timesteps},
          {"zero_terminal_snr", config.zero_terminal_snr},
          {"shift", config.shift},
          {"objective", to_json(config.objective)},
          {"loss_weight", to_json(config.objective.weight)},
          {"reconstruction",
           {{"kl_weight", config.reconstruction.kl_weight}, {"flip", config.reconstruction.flip}}},
          {"training", to_json(config.training)},
          {"batch", config.batch}};
}

RunConfig run_config_from_json(const Json& json) {
  const JsonReader j(json);
  RunConfig config;
  config.data = data_from(j.object("data"));
  config.image = image_from(j.object("image"));
  const JsonReader model = j.object("model");
  config.model = model.text("name");
  if (config.model == "unet")
    config.unet = unet2d_config_from_json(json["model"].value("unet", Json()));
  else if (config.model == "autoencoder")
    config.autoencoder =
        autoencoder_config_from_json(json["model"].value("autoencoder", Json::object()));
  else
    config.time_features = model.integer("time_features", 0, 65536);
  if (config.model == "unet" && model.has("text"))
    config.text = TextConfig{clip_text_config_from_json(json["model"]["text"]), nullptr};
  if (config.model == "unet" && model.has("latent"))
    config.latent = LatentConfig{nullptr, model.object("latent").text("autoencoder")};
  if (model.has("student")) {
    const JsonReader s = model.object("student");
    config.student = StudentConfig{{.method = s.choice("method", method_names),
                                    .steps = s.integer("steps", 1, 100'000),
                                    .first_steps = s.integer("first_steps", 1, 100'000, 10),
                                    .doubling = s.integer("doubling", 0, many, 0),
                                    .guidance = s.number("guidance", -1e6, 1e6)},
                                   s.text("teacher"),
                                   {}};
  }
  if (j.has("reconstruction")) {
    const JsonReader r = j.object("reconstruction");
    config.reconstruction = {r.number("kl_weight", 0, large), r.flag("flip")};
  }
  config.schedule = j.text("schedule");
  const std::vector<std::string> schedules = usable_schedules();
  check(std::find(schedules.begin(), schedules.end(), config.schedule) != schedules.end(),
        "schedule is {}; one of {} is needed", config.schedule, fmt::join(schedules, ", "));
  config.timesteps = j.integer("timesteps", 1, 100'000);
  config.zero_terminal_snr = j.flag("zero_terminal_snr", false);
  config.shift = j.number("shift", 1e-6, 1e6, 1.0);
  config.objective = objective_from(j.object("objective"));
  if (j.has("loss_weight")) config.objective.weight = weight_from(j.object("loss_weight"));
  config.training = training_from(j.object("training"));
  config.batch = j.integer("batch", 1, 1'000'000);
  return config;
}

namespace {

std::unique_ptr<Model> make_on_host(const RunConfig& config) {
  PhiloxGenerator generator(config.training.seed);
  const auto classes = static_cast<std::int64_t>(config.image.class_names.size());
  if (config.model == "unet") {
    // Weights, their gradients, average and the optimizer's two: five of each.
    check_memory("the model", 5 * 4 * parameter_bound(config.unet));
    const std::int64_t factor = side_multiple(config.unet);
    const std::int64_t sides = factor * (config.latent ? config.latent->autoencoder->factor() : 1);
    check_usage(config.image.height % sides == 0 && config.image.width % sides == 0,
                "unet: {} x {} pixels are no multiple of {}; resize them with --size",
                config.image.height, config.image.width, sides);
    if (config.text)
      return std::make_unique<TextToImage>(config.text->tokenizer, config.text->encoder,
                                           config.unet, generator);
    auto model = std::make_unique<UNet2D>(config.unet, generator);
    model->zero_last_layers();
    return model;
  }
  const TutorialUNetOptions options{config.image.channels, config.time_features, {}};
  if (config.model == "simple") return std::make_unique<SimpleUNet>(options, generator);
  check_usage(
      config.model != "autoencoder",
      "an autoencoder draws nothing by itself; train a model behind it: ebb train --latent");
  check_usage(config.model == "conditional", "no model '{}'; give one of {}", config.model,
              model_names);
  check_usage(classes > 0, "conditional: the data set has no classes; use --model simple");
  return std::make_unique<ConditionalUNet>(classes, options, generator);
}

}  // namespace

std::unique_ptr<Model> make_model(const RunConfig& config, Device device) {
  std::unique_ptr<Model> model = make_on_host(config);
  model->sample = {.height = config.image.height,
                   .width = config.image.width,
                   .channels = config.image.channels};
  if (config.latent) {
    const AutoencoderKL& autoencoder = *config.latent->autoencoder;
    model->sample = {.height = config.image.height / autoencoder.factor(),
                     .width = config.image.width / autoencoder.factor(),
                     .channels = autoencoder.config().latent_channels,
                     .clip = {Clip::Kind::none}};
  }
  move_to(*model, device);
  return model;
}

std::unique_ptr<AutoencoderKL> make_autoencoder(const RunConfig& config, Device device) {
  check_usage(config.model == "autoencoder",
              "model {} is no autoencoder; name a run of ebb train --model autoencoder",
              config.model);
  PhiloxGenerator generator(config.training.seed);
  auto model = std::make_unique<AutoencoderKL>(config.autoencoder, generator);
  const std::int64_t factor = model->factor();
  check_usage(config.image.height % factor == 0 && config.image.width % factor == 0,
              "autoencoder: {} x {} pixels are no multiple of {}; resize them with --size",
              config.image.height, config.image.width, factor);
  move_to(*model, device);
  return model;
}

std::vector<std::string> usable_schedules() {
  std::vector<std::string> names = schedule_names();
  names.emplace_back("flow");
  return names;
}

double parse_shift(const std::string& text, const RunConfig& config) {
  if (text == "dynamic") {
    std::int64_t patch = config.model == "unet" ? config.unet.patch_size : 1;
    if (config.latent) patch *= config.latent->autoencoder->factor();
    return dynamic_shift((config.image.height / patch) * (config.image.width / patch));
  }
  double shift = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), shift);
  check_usage(
      error == std::errc() && end == text.data() + text.size() && shift > 0 && std::isfinite(shift),
      "--shift {}: give a number above 0, or dynamic", text);
  return shift;
}

Path make_path(const RunConfig& config) {
  const Prediction prediction = config.objective.prediction;
  check_usage(
      config.schedule != "flow" || prediction == Prediction::flow || prediction == Prediction::v,
      "--schedule flow: pure noise at its end says nothing of {}; give --prediction flow",
      name_in(prediction_names, prediction));
  check_usage(config.schedule == "flow" || config.shift == 1,
              "--shift {}: schedule {} has none; only flow does", config.shift, config.schedule);
  check_usage(!config.zero_terminal_snr || config.schedule != "flow",
              "--zero-terminal-snr: schedule flow ends in pure noise as it is; leave it out");
  check_usage(!config.zero_terminal_snr || prediction != Prediction::epsilon,
              "--zero-terminal-snr: pure noise at its end says nothing of epsilon; give "
              "--prediction v");
  if (config.schedule == "flow")
    return Path::flow(config.shift, static_cast<double>(config.timesteps));
  const std::vector<double> table = alphas_cumprod_named(config.schedule, config.timesteps);
  return Path::discrete(config.zero_terminal_snr ? zero_terminal_snr(table) : table);
}

}  // namespace ebb::apps
