#include <ebb/apps/data/latents.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/content_hash.h>
#include <ebb/apps/training/captions.h>
#include <ebb/apps/training/start.h>

#include <memory>
#include <optional>

namespace ebb::apps {
namespace {

struct Recipe {
  std::string schedule, prediction, shift, times;
  std::int64_t batch;
};
const Recipe usual{"cosine", "v", "1", "uniform", 64};
// What is where is decided at much noise and in the middle, and learned by many steps.
const Recipe usual_with_captions{"flow", "flow", "2", "logit_normal", 16};
// Its images are many values each: many steps teach it more than exact ones.
constexpr std::int64_t autoencoder_batch = 16;
// It begins as its teacher, which a larger rate undoes.
constexpr double student_learning_rate = 0.0005;

// The path, what is predicted and the batch: as chosen, else the usual ones.
void follow(TrainOptions& options, bool captions) {
  const Recipe& recipe = captions ? usual_with_captions : usual;
  const bool own_path = (options.schedule.empty() || options.schedule == recipe.schedule) &&
                        (options.prediction.empty() || options.prediction == recipe.prediction);
  const Recipe& path = own_path ? recipe : usual;
  if (options.schedule.empty()) options.schedule = path.schedule;
  if (options.prediction.empty()) options.prediction = path.prediction;
  if (options.shift.empty()) options.shift = path.shift;
  if (options.times.empty()) options.times = path.times;
  if (options.batch == 0)
    options.batch = options.config.model == "autoencoder" ? autoencoder_batch : recipe.batch;
  options.config.schedule = options.schedule;
  options.config.objective.prediction = parse_prediction(options.prediction);
  options.config.objective.times =
      options.times == "logit_normal" ? TrainingTimes::logit_normal : TrainingTimes::uniform;
  options.config.batch = options.batch;
}

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
  if (options.batch > 0) config.batch = options.batch;
  options.config = std::move(config);
}

// What is text, or hangs on the data, into the configuration.
void settle(TrainOptions& options) {
  RunConfig& config = options.config;
  const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::train);
  config.image = data->info();
  config.objective.weight = usual_weight(options.loss_weight);
  const std::string condition = condition_of(options, *data);
  follow(options, condition == "text");
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

}  // namespace

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
    if (options.learning_rate || student)
      options.config.training.learning_rate = options.learning_rate.value_or(student_learning_rate);
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

}  // namespace ebb::apps
