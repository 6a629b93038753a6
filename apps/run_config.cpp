#include <ebb/apps/console.h>
#include <ebb/apps/run_config.h>
#include <ebb/apps/unet2d_json.h>
#include <ebb/diffusion/schedule.h>
#include <ebb/diffusion/tutorial_unet.h>

#include <charconv>
#include <cmath>

namespace ebb {

// Where nlohmann looks for them: beside the types.
NLOHMANN_JSON_SERIALIZE_ENUM(Prediction, {{Prediction::epsilon, "epsilon"},
                                          {Prediction::x0, "x0"},
                                          {Prediction::v, "v"},
                                          {Prediction::flow, "flow"}})
NLOHMANN_JSON_SERIALIZE_ENUM(LossWeight::Kind, {{LossWeight::Kind::simple, "simple"},
                                                {LossWeight::Kind::min_snr, "min_snr"},
                                                {LossWeight::Kind::p2, "p2"},
                                                {LossWeight::Kind::edm, "edm"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LossWeight, kind, gamma, k, sigma_data)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ObjectiveConfig, prediction, label_dropout, stratified, flip)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainingConfig, learning_rate, warmup_steps, cosine,
                                   last_learning_rate, beta1, beta2, eps, weight_decay, clip_norm,
                                   ema_decay, accumulation, seed)

namespace apps {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DatasetOptions, data, folder, size, channels)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DatasetInfo, height, width, channels, class_names)

nlohmann::json to_json(const RunConfig& config) {
  nlohmann::json model{{"name", config.model}};
  if (config.model == "unet")
    model["unet"] = unet2d_config_to_json(config.unet);
  else
    model["time_features"] = config.time_features;
  return {{"ebb", EBB_VERSION},
          {"data", config.data},
          {"image", config.image},
          {"model", model},
          {"schedule", config.schedule},
          {"timesteps", config.timesteps},
          {"zero_terminal_snr", config.zero_terminal_snr},
          {"shift", config.shift},
          {"objective", config.objective},
          {"loss_weight", config.objective.weight},
          {"training", config.training},
          {"batch", config.batch}};
}

RunConfig run_config_from_json(const nlohmann::json& json) {
  try {
    RunConfig config;
    json.at("data").get_to(config.data);
    json.at("image").get_to(config.image);
    const nlohmann::json& model = json.at("model");
    model.at("name").get_to(config.model);
    if (config.model == "unet")
      config.unet = unet2d_config_from_json(model.at("unet"));
    else
      model.at("time_features").get_to(config.time_features);
    json.at("schedule").get_to(config.schedule);
    json.at("timesteps").get_to(config.timesteps);
    config.zero_terminal_snr = json.value("zero_terminal_snr", false);
    config.shift = json.value("shift", 1.0);
    json.at("objective").get_to(config.objective);
    config.objective.weight = json.value("loss_weight", LossWeight());
    json.at("training").get_to(config.training);
    json.at("batch").get_to(config.batch);
    return config;
  } catch (const nlohmann::json::exception& error) {
    fail("not the configuration of a run: {}", error.what());
  }
}

std::unique_ptr<Model> make_model(const RunConfig& config) {
  PhiloxGenerator generator(config.training.seed);
  const auto classes = static_cast<std::int64_t>(config.image.class_names.size());
  if (config.model == "unet") {
    const std::int64_t factor = config.unet.patch_size
                                << (config.unet.block_out_channels.size() - 1);
    check_usage(config.image.height % factor == 0 && config.image.width % factor == 0,
                "unet: {} x {} pixels are no multiple of {}; resize them with --size",
                config.image.height, config.image.width, factor);
    auto model = std::make_unique<UNet2D>(config.unet, generator);
    model->zero_last_layers();
    return model;
  }
  const TutorialUNetOptions options{config.image.channels, config.time_features, {}};
  if (config.model == "simple") return std::make_unique<SimpleUNet>(options, generator);
  check_usage(config.model == "conditional", "no model '{}'; give one of {}", config.model,
              model_names);
  check_usage(classes > 0, "conditional: the data set has no classes; use --model simple");
  return std::make_unique<ConditionalUNet>(classes, options, generator);
}

std::vector<std::string> usable_schedules() {
  std::vector<std::string> names = schedule_names();
  names.emplace_back("flow");
  return names;
}

double parse_shift(const std::string& text, const RunConfig& config) {
  if (text == "dynamic") {
    const std::int64_t patch = config.model == "unet" ? config.unet.patch_size : 1;
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
      nlohmann::json(prediction).get<std::string>());
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

}  // namespace apps
}  // namespace ebb
