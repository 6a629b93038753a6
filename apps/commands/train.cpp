#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/data/latents.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/content_hash.h>
#include <ebb/apps/training/captions.h>
#include <ebb/apps/training/setup.h>

#include <memory>
#include <optional>
#include <set>

namespace ebb::apps {
namespace {

struct TrainOptions {
  RunConfig config;
  std::string shift = "1";
  std::string preset = "small", prediction = "v", loss_weight = "simple", condition = "auto";
  std::vector<std::int64_t> widths;  // none: the preset's
  std::string out, latent, teacher, method;
  std::int64_t student_steps = 0;  // 0: the method's usual
  double teacher_guidance = 1;
  TrainingSources sources;
  std::int64_t latent_channels = 4;
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
  const bool unet = options.config.model == "unet";
  if (condition == "auto") condition = classes ? "class" : captions && unet ? "text" : "none";
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

// The networks of the run, of the preset.
void settle_unet(TrainOptions& options, std::int64_t channels) {
  RunConfig& config = options.config;
  config.unet = unet2d_preset(options.preset, channels,
                              static_cast<std::int64_t>(config.image.class_names.size()),
                              config.text ? config.text->encoder.hidden_size : 0);
  if (config.latent) {  // small already
    config.unet.patch_size = 1;
    config.unet.in_channels = config.unet.out_channels = channels;
  }
}

// The autoencoder of the run at --latent, with the scale of this data set's latents.
void settle_latents(TrainOptions& options, const Dataset& data) {
  RunConfig& config = options.config;
  check_usage(config.model == "unet", "--latent: model {} works on pixels; use --model unet",
              config.model);
  check_usage(!config.objective.flip,
              "--flip: latents are computed once; leave it out, or train the autoencoder with it");
  const RunFolder run = RunFolder::open(options.latent);
  std::shared_ptr<AutoencoderKL> autoencoder = run.load_autoencoder();
  const std::int64_t channels = autoencoder->config().in_channels, factor = autoencoder->factor();
  const DatasetInfo& image = config.image;
  check_usage(image.channels == channels,
              "--latent {}: its images have {} channels, those of {} {}; give --channels {}",
              options.latent, channels, config.data.data, image.channels, channels);
  check_usage(image.height % factor == 0 && image.width % factor == 0,
              "--latent {}: {} x {} pixels are no multiple of {}; resize them with --size",
              options.latent, image.height, image.width, factor);
  catch_interrupts();
  options.sources.latents = latents_of(data, *autoencoder, "");
  measure_scale(*autoencoder, options.sources.latents);
  note(fmt::format("latents of {} x {} x {}; standard deviation {:.4g}, mean {:.4g}",
                   options.sources.latents.size(1), options.sources.latents.size(2),
                   options.sources.latents.size(3), 1 / autoencoder->config().scaling_factor,
                   autoencoder->config().shift_factor));
  config.latent = LatentConfig{autoencoder, content_hash(*autoencoder)};
}

// Of --method, with its usual numbers.
DistillationConfig taught_how(const TrainOptions& options) {
  using Method = DistillationConfig::Method;
  DistillationConfig how{.guidance = options.teacher_guidance};
  if (options.method == "consistency")
    how.method = Method::consistency;
  else if (options.method == "consistency-training")
    how.method = Method::consistency_training;
  how.steps = options.student_steps;
  if (how.steps == 0)
    how.steps = how.method == Method::progressive   ? 8
                : how.method == Method::consistency ? 40
                                                    : 160;
  if (how.method != Method::consistency_training) return how;
  check_usage(options.plan.steps > 0,
              "--method consistency-training: its grid grows with the steps; give --steps");
  check_usage(
      how.guidance == 1,
      "--teacher-guidance {}: consistency-training has no teacher to be guided; leave it out",
      how.guidance);
  // As often as it doubles, and once more to stay (Song & Dhariwal 2024, table 1).
  double doublings = 0;
  for (std::int64_t n = how.first_steps; n < how.steps; n *= 2) ++doublings;
  how.doubling = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(options.plan.steps) / (doublings + 1)));
  return how;
}

// A student of the run at --distil: the same in all but how it is trained.
void settle_student(TrainOptions& options) {
  const RunFolder run = RunFolder::open(options.teacher);
  RunConfig config = run.config();
  check_usage(config.model != "autoencoder" && !config.data.data.empty(),
              "--distil {}: it has no images that a student could learn from", options.teacher);
  const std::unique_ptr<Model> teacher = run.load_model();
  options.sources.teacher = state_dict(*teacher);
  if (config.latent)
    options.sources.latents =
        latents_of(*open_dataset(config.data, Split::train), *config.latent->autoencoder,
                   run.file("latents.safetensors"));
  config.student = StudentConfig{taught_how(options), content_hash(options.sources.teacher),
                                 options.sources.teacher};
  config.training = options.config.training;
  config.batch = options.config.batch;
  options.config = std::move(config);
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
  if (!options.latent.empty()) settle_latents(options, *data);
  if (config.model == "unet")
    settle_unet(options, config.latent ? options.sources.latents.size(3) : config.image.channels);
  if (config.model == "autoencoder") {
    config.autoencoder = autoencoder_preset(options.preset, config.image.channels);
    config.autoencoder.latent_channels = options.latent_channels;
    config.reconstruction.flip = config.objective.flip;
  }
  if (!options.widths.empty()) {
    std::vector<std::int64_t>& widths = config.model == "autoencoder"
                                            ? config.autoencoder.block_out_channels
                                            : config.unet.block_out_channels;
    check_usage(config.model == "autoencoder" || options.widths.size() == widths.size(),
                "--widths: {} of them; preset {} has {} levels", options.widths.size(),
                options.preset, widths.size());
    widths = options.widths;
  }
  config.shift = parse_shift(options.shift, config);
  if (options.method.empty()) return;
  check_usage(options.method == "consistency-training",
              "--method {}: it needs a teacher; name its run with --distil", options.method);
  check_usage(config.model != "autoencoder",
              "--method {}: an autoencoder is trained by its reconstructions; leave it out",
              options.method);
  config.student = StudentConfig{taught_how(options), {}, {}};
}

// Of a run that is resumed; computed again where the file is lost.
Tensor kept_latents(const RunFolder& run) {
  const RunConfig& config = run.config();
  if (!config.latent) return {};
  const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::train);
  return latents_of(*data, *config.latent->autoencoder, run.file("latents.safetensors"));
}

// How long the steps that are left take, or how many there will be.
std::string time_in_words(const TrainingPlan& plan, double seconds, std::int64_t done) {
  if (plan.minutes > 0 && plan.steps == 0)
    return fmt::format("about {:.2g} s a step, {} steps in {:g} min", seconds,
                       static_cast<std::int64_t>(60 * plan.minutes / seconds), plan.minutes);
  const double left = seconds * static_cast<double>(std::max<std::int64_t>(0, plan.steps - done));
  return fmt::format("about {:.2g} s a step, {:.3g} min in all", seconds, left / 60);
}

std::string told_in_words(const RunConfig& config) {
  if (!config.text) return fmt::format("{} classes", config.image.class_names.size());
  return fmt::format("captions of {} words", config.text->tokenizer->words().size());
}

void train(TrainOptions& options) {
  check_usage(!options.out.empty(), "--out: its name is empty; name a folder");
  const bool student = !options.teacher.empty();
  check_usage(options.resume || student || !options.config.data.data.empty(),
              "--data: name what to train on: {} or a folder of PNG files", dataset_names);
  TrainingPlan& plan = options.plan;
  if (plan.steps == 0 && plan.minutes == 0) plan.steps = default_steps;
  std::unique_ptr<TrainingSetup> setup;
  std::optional<RunFolder> run;
  if (options.resume) {
    run = RunFolder::open(options.out);
    check_usage(!run->config().data.data.empty(),
                "{}: a run without images to train on; import its model again with --data",
                run->path());
  } else {
    if (student)
      settle_student(options);
    else
      settle(options);
    setup = set_up(options.config, plan, options.sources);
    run = RunFolder::create(options.out, options.config);
  }
  const RunLock lock = run->lock();
  if (options.sources.latents.defined())
    write_latents(run->file("latents.safetensors"), options.sources.latents,
                  run->config().latent->hash);
  double seconds = 0;
  if (options.resume) {
    if (options.learning_rate) run->lower_learning_rate(*options.learning_rate);
    setup = set_up(run->config(), plan, {kept_latents(*run), run->teacher_weights()});
    seconds = run->load_checkpoint(*setup->trainer);
    run->trim_metrics(setup->trainer->steps());
  }
  const RunConfig& config = run->config();
  note(fmt::format(
      "{} images of {} x {} x {}, {}; {} with {} parameters; at most about {:.2f} GB of memory; "
      "{}; "
      "into {}",
      setup->data->size(), config.image.height, config.image.width, config.image.channels,
      told_in_words(config), config.model, setup->parameters(), setup->memory / 1e9,
      time_in_words(plan, setup->seconds, setup->trainer->steps()), run->path()));
  train_run(*run, plan, setup->task, *setup->trainer, seconds);
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
  add("--model", c.model,
      "unet, autoencoder (whose latents --latent learns), or the tutorial's: simple, conditional")
      ->check(CLI::IsMember({"unet", "autoencoder", "simple", "conditional"}));
  add("--latent", o.latent,
      "Run of an autoencoder: the unet learns its latents instead of pixels (computed once)");
  add("--distil", o.teacher,
      "Run of a teacher: a student of it is trained, to draw in fewer steps");
  add("--method", o.method,
      "progressive (one step does what two of the teacher do; usual), consistency (one step says "
      "all) or consistency-training (that, without --distil too)")
      ->check(CLI::IsMember({"progressive", "consistency", "consistency-training"}));
  add("--student-steps", o.student_steps,
      "progressive: steps of the student (8 unless given); consistency: of the teacher (40), "
      "or of the grid when it has grown (160)")
      ->check(CLI::Range(0, 10'000));
  add("--teacher-guidance", o.teacher_guidance, "Guidance of the teacher, which the student learns")
      ->check(CLI::Range(-1000.0, 1000.0));
  add("--latent-channels", o.latent_channels, "autoencoder: channels of its latents")
      ->check(CLI::Range(1, 1024));
  add("--kl-weight", c.reconstruction.kl_weight,
      "autoencoder: how much its latents' divergence from N(0, 1) counts")
      ->check(CLI::Range(0.0, 1e6));
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
    static const std::set<std::string> of_training{
        "--batch",        "--warmup", "--cosine",        "--weight-decay",
        "--clip",         "--ema",    "--seed",          "--distil",
        "--accumulation", "--method", "--student-steps", "--teacher-guidance"};
    for (const CLI::Option* option : command->get_options()) {
      const bool kept = option->count() > 0 && option->get_group() == "Kept by the run";
      check_usage(!kept || !options->resume,
                  "{}: a resumed run keeps what it was started with; leave it out",
                  option->get_name());
      check_usage(!kept || options->teacher.empty() || of_training.contains(option->get_name()),
                  "{}: a student is as its teacher, {}; leave it out", option->get_name(),
                  options->teacher);
    }
    train(*options);
  });
}

}  // namespace ebb::apps
