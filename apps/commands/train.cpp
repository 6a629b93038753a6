#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/runs/captions.h>
#include <ebb/apps/runs/memory_forecast.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/runs/training.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/memory.h>

#include <memory>
#include <optional>

namespace ebb::apps {
namespace {

struct TrainOptions {
  RunConfig config;
  std::string shift = "1";
  std::string preset = "small", prediction = "v", loss_weight = "simple", condition = "auto";
  std::vector<std::int64_t> widths;  // none: the preset's
  std::string out;
  bool resume = false;
  std::optional<double> learning_rate;
  TrainingPlan plan;
};

constexpr std::int64_t default_steps = 5000;

LossWeight usual_weight(const std::string& name) {
  using enum LossWeight::Kind;
  if (name == "min_snr") return {.kind = min_snr, .gamma = 5};
  if (name == "p2") return {.kind = p2, .gamma = 1};
  return {.kind = name == "edm" ? edm : simple};
}

// What the network is told: of --condition auto, captions where there are no classes.
std::string condition_of(const TrainOptions& options, const Dataset& data) {
  const bool classes = data.classes() > 0, captions = data.info().captions;
  std::string condition = options.condition;
  if (condition == "auto") condition = classes ? "class" : captions ? "text" : "none";
  check_usage(
      condition != "text" || captions,
      "--condition text: {} has no captions; put a .txt file of its name beside each picture, "
      "or a metadata.jsonl, or leave it out",
      options.config.data.data);
  check_usage(condition != "class" || classes || options.condition == "auto",
              "--condition class: {} has no classes; leave it out", options.config.data.data);
  check_usage(condition != "text" || options.config.model == "unet",
              "--condition text: model {} knows no text; use --model unet", options.config.model);
  return condition;
}

// What is text, or hangs on the data, into the configuration.
void settle(TrainOptions& options) {
  RunConfig& config = options.config;
  if (options.learning_rate) config.training.learning_rate = *options.learning_rate;
  const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::train);
  config.image = data->info();
  config.objective.prediction = parse_prediction(options.prediction);
  config.objective.weight = usual_weight(options.loss_weight);
  const std::string condition = condition_of(options, *data);
  if (condition != "class") config.image.class_names.clear();
  if (condition == "text") config.text = text_config_for(*data, options.preset);
  if (config.model == "unet") {
    config.unet = unet2d_preset(options.preset, config.image.channels,
                                static_cast<std::int64_t>(config.image.class_names.size()),
                                config.text ? config.text->encoder.hidden_size : 0);
    std::vector<std::int64_t>& widths = config.unet.block_out_channels;
    check_usage(options.widths.empty() || options.widths.size() == widths.size(),
                "--widths: {} of them; preset {} has {} levels", options.widths.size(),
                options.preset, widths.size());
    if (!options.widths.empty()) widths = options.widths;
  }
  config.shift = parse_shift(options.shift, config);
}

// The model and everything of its training, made and so checked before a run is.
struct Setup {
  std::unique_ptr<Dataset> data;
  std::unique_ptr<Model> model;
  std::unique_ptr<Trainer> trainer;
  double memory = 0;  // bytes, of a step
};

// Bytes of a step; an Error where that is more than there are.
double check_step_memory(const RunConfig& config) {
  const MemoryForecast forecast = training_memory(config);
  const auto part = [&](std::int64_t accumulation) {
    return (config.batch + accumulation - 1) / accumulation;
  };
  const double bytes = forecast.of(part(config.training.accumulation));
  const double limit = memory_limit();
  std::int64_t fits = config.training.accumulation;
  while (fits < config.batch && forecast.of(part(fits)) > limit) ++fits;
  check_memory(fmt::format("a step of {} images", config.batch), bytes,
               forecast.of(part(fits)) <= limit
                   ? fmt::format("give --accumulation {} or a smaller --batch", fits)
                   : "give a smaller --size, --preset or --widths");
  return bytes;
}

Setup set_up(const RunConfig& config, Device device) {
  Setup setup{open_dataset(config.data, Split::train), make_model(config, device), nullptr, 0};
  check_usage(config.training.accumulation <= config.batch,
              "--accumulation {}: a batch of {} cannot be cut into so many parts; lower it",
              config.training.accumulation, config.batch);
  setup.trainer = std::make_unique<Trainer>(
      named_parameters(*setup.model),
      diffusion_objective(*setup.model, make_path(config), config.objective), config.training);
  setup.memory = check_step_memory(config);
  return setup;
}

std::string told_in_words(const RunConfig& config) {
  if (!config.text) return fmt::format("{} classes", config.image.class_names.size());
  return fmt::format("captions of {} words", config.text->tokenizer->words().size());
}

void train(TrainOptions& options) {
  check_usage(!options.out.empty(), "--out: its name is empty; name a folder");
  check_usage(options.resume || !options.config.data.data.empty(),
              "--data: name what to train on: {} or a folder of PNG files", dataset_names);
  TrainingPlan& plan = options.plan;
  if (plan.steps == 0 && plan.minutes == 0) plan.steps = default_steps;
  Setup setup;
  std::optional<RunFolder> run;
  if (options.resume) {
    run = RunFolder::open(options.out);
    check_usage(!run->config().data.data.empty(),
                "{}: a run without images to train on; import its model again with --data",
                run->path());
  } else {
    settle(options);
    setup = set_up(options.config, plan.device);
    run = RunFolder::create(options.out, options.config);
  }
  const RunLock lock = run->lock();
  double seconds = 0;
  if (options.resume) {
    if (options.learning_rate) run->lower_learning_rate(*options.learning_rate);
    setup = set_up(run->config(), plan.device);
    seconds = run->load_checkpoint(*setup.trainer);
    run->trim_metrics(setup.trainer->steps());
  }
  const RunConfig& config = run->config();
  note(
      fmt::format("{} images of {} x {} x {}, {}; {} with {} parameters; at most about "
                  "{:.2f} GB of memory; into {}",
                  setup.data->size(), config.image.height, config.image.width,
                  config.image.channels, told_in_words(config), config.model,
                  parameter_count(*setup.model), setup.memory / 1e9, run->path()));
  train_run(*run, plan, *setup.data, *setup.model, *setup.trainer, seconds);
}

void add_options(CLI::App& command, TrainOptions& o) {
  RunConfig& c = o.config;
  TrainingPlan& p = o.plan;
  command.add_option("--out", o.out, "Folder of the run")->required();
  // These may change when a run is resumed; all others are kept with it.
  command.add_flag("--resume", o.resume, "Continue the run in --out");
  command.add_option("--steps", p.steps, "Steps in all (default 5000 without --minutes)")
      ->check(CLI::Range(1, 1'000'000'000));
  add_device_option(command, p.device);
  command.add_option("--minutes", p.minutes, "Minutes in all; with --steps whichever ends first")
      ->check(CLI::Range(0.001, 1e6));
  command.add_option("--preview-every", p.preview_every, "Steps between pictures")
      ->check(CLI::PositiveNumber);
  command.add_option("--save-every", p.save_every, "Steps between checkpoints")
      ->check(CLI::PositiveNumber);
  command.add_option("--log-every", p.log_every, "Steps between lines of metrics.jsonl")
      ->check(CLI::PositiveNumber);
  command.add_option("--keep", p.keep, "Checkpoints to keep")->check(CLI::PositiveNumber);
  command
      .add_option("--keep-every-minutes", p.keep_every,
                  "Also keep one each time so many minutes have passed, and the last; 0: none")
      ->check(CLI::Range(0.0, 1e6));

  command
      .add_option_function<std::string>(
          "--on-nan",
          [&p](const std::string& name) {
            p.on_nan = name == "skip"       ? TrainingPlan::OnNan::skip
                       : name == "rollback" ? TrainingPlan::OnNan::rollback
                                            : TrainingPlan::OnNan::stop;
          },
          "When a step is not finite: stop, skip it, or rollback to the last checkpoint at half "
          "the rate (default stop)")
      ->check(CLI::IsMember({"stop", "skip", "rollback"}));
  command.add_option("--lr", o.learning_rate, "Learning rate; a resumed run may lower it")
      ->default_str(fmt::format("{}", c.training.learning_rate))
      ->check(CLI::Range(0.0, 10.0));

  const std::string fixed = "Kept by the run";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->group(fixed);
  };
  add("--data", c.data.data,
      "fashion-mnist, mnist, cifar10, shapes, scenes, or a folder of PNG files (subfolders are "
      "classes)");
  add("--condition", o.condition,
      "What the network is told: none, class, text (captions), or auto: class where there are "
      "classes, else text where there are captions")
      ->check(CLI::IsMember({"auto", "none", "class", "text"}));
  add("--data-dir", c.data.folder, "Folder of the files of mnist or cifar10")
      ->check(CLI::ExistingDirectory);
  add("--size", c.data.size, "Resize images to so many pixels a side")->check(CLI::Range(1, 1024));
  add("--channels", c.data.channels, "1: gray, 3: RGB")->check(CLI::IsMember({1, 3}));
  add("--model", c.model, "unet, or the tutorial's: simple, conditional")
      ->check(CLI::IsMember({"unet", "simple", "conditional"}));
  add("--preset", o.preset, "Size of the unet: tiny, small, medium, large")
      ->check(CLI::IsMember({"tiny", "small", "medium", "large"}));
  add("--widths", o.widths, "Channels of the unet's levels instead of the preset's: 48,96")
      ->delimiter(',');
  add("--time-features", c.time_features,
      "simple, conditional: sinusoidal time embedding of this width (default 0: the plain t)")
      ->check(CLI::NonNegativeNumber);
  add("--schedule", c.schedule,
      "Noise schedule; below 100 steps exponential and laplace are best sampled with --spacing "
      "karras")
      ->check(CLI::IsMember(usable_schedules()));
  add("--timesteps", c.timesteps, "T of the schedule")->check(CLI::Range(1, 100'000));
  add("--zero-terminal-snr", c.zero_terminal_snr,
      "Stretch the schedule to end in pure noise (true, false)");
  add("--shift", o.shift, "Of schedule flow: a number, or dynamic, by image size");
  add("--prediction", o.prediction, "What the network predicts")
      ->check(CLI::IsMember({"epsilon", "x0", "v", "flow"}));
  add("--label-dropout", c.objective.label_dropout,
      "Share of labels made the null class, of captions the empty text")
      ->check(CLI::Range(0.0, 1.0));
  add("--stratified", c.objective.stratified, "Times of a batch spread evenly (true, false)");
  add("--loss-weight", o.loss_weight,
      "How much each level of noise counts: simple (all alike), min_snr, p2, edm")
      ->check(CLI::IsMember({"simple", "min_snr", "p2", "edm"}));
  add("--flip", c.objective.flip, "Mirror half of the images left to right (true, false)");
  add("--batch", c.batch, "Images a step")->check(CLI::Range(1, 1'000'000));
  add("--warmup", c.training.warmup_steps, "Steps of its linear rise")
      ->check(CLI::NonNegativeNumber);
  add("--cosine", c.training.cosine, "Let it fall as a cosine after that (true, false)");
  add("--weight-decay", c.training.weight_decay, "Of AdamW")->check(CLI::Range(0.0, 10.0));
  add("--clip", c.training.clip_norm, "Largest norm of the gradient; 0: any")
      ->check(CLI::NonNegativeNumber);
  add("--ema", c.training.ema_decay, "Decay of the average of weights; 0: none")
      ->check(CLI::Range(0.0, 1.0));
  add("--accumulation", c.training.accumulation, "Parts that a batch is cut into")
      ->check(CLI::PositiveNumber);
  add("--seed", c.training.seed, "Seed of everything random");
}

}  // namespace

void add_train_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "Train a model on images");
  const auto options = std::make_shared<TrainOptions>();
  command->option_defaults()->always_capture_default();
  add_options(*command, *options);
  command->callback([command, options] {
    if (options->resume)
      for (const CLI::Option* option : command->get_options())
        check_usage(option->count() == 0 || option->get_group() != "Kept by the run",
                    "{}: a resumed run keeps what it was started with; leave it out",
                    option->get_name());
    train(*options);
  });
}

}  // namespace ebb::apps
