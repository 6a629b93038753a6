#include <ebb/apps/commands.h>
#include <ebb/apps/console.h>
#include <ebb/apps/gnuplot.h>
#include <ebb/apps/grid.h>
#include <ebb/apps/metrics_log.h>
#include <ebb/apps/plots.h>
#include <ebb/apps/progress.h>
#include <ebb/apps/run_folder.h>
#include <ebb/apps/sampling.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace ebb::apps {
namespace {

struct TrainOptions {
  RunConfig config;
  std::string shift = "1";
  std::string preset = "small", prediction = "v", loss_weight = "simple";
  std::vector<std::int64_t> widths;  // none: the preset's
  std::string out;
  bool resume = false;
  std::int64_t steps = 0;  // 0: no bound
  double minutes = 0;      // 0: no bound
  double keep_every = 0;   // minutes; 0: only the last few checkpoints are kept
  std::int64_t preview_every = 1000, save_every = 1000, log_every = 20, keep = 3;
};

constexpr std::int64_t default_steps = 5000;

// The share of the budget that is used up; training ends at 1.
double progress_of(const TrainOptions& options, std::int64_t step, double seconds) {
  double progress = 0;
  if (options.steps > 0) progress = static_cast<double>(step) / static_cast<double>(options.steps);
  if (options.minutes > 0) progress = std::max(progress, seconds / (60 * options.minutes));
  return std::min(progress, 1.0);
}

LossWeight usual_weight(const std::string& name) {
  using enum LossWeight::Kind;
  if (name == "min_snr") return {.kind = min_snr, .gamma = 5};
  if (name == "p2") return {.kind = p2, .gamma = 1};
  return {.kind = name == "edm" ? edm : simple};
}

RunFolder open_run(TrainOptions& options) {
  if (options.resume) return RunFolder::open(options.out);
  RunConfig& config = options.config;
  const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::train);
  config.image = data->info();
  config.objective.prediction = parse_prediction(options.prediction);
  config.objective.weight = usual_weight(options.loss_weight);
  if (config.model == "unet") {
    config.unet = unet2d_preset(options.preset, config.image.channels, data->classes());
    std::vector<std::int64_t>& widths = config.unet.block_out_channels;
    check_usage(options.widths.empty() || options.widths.size() == widths.size(),
                "--widths: {} of them; preset {} has {} levels", options.widths.size(),
                options.preset, widths.size());
    if (!options.widths.empty()) widths = options.widths;
  }
  config.shift = parse_shift(options.shift, config);
  make_model(config);  // what it cannot take is said before anything is written
  make_path(config);
  return RunFolder::create(options.out, config);
}

// The same noise each time, so that the previews show one set of images becoming clear.
void write_preview(const RunFolder& run, const Model& model, std::int64_t step) {
  SampleRequest request;
  request.steps = std::min<std::int64_t>(20, run.config().timesteps);
  request.count = 40;
  if (model.num_classes() > 0) {
    request.labels = parse_classes("all", model.num_classes());
    request.labels.resize(std::min<std::size_t>(request.labels.size(), 10));
    request.guidance = 2;
  }
  write_grid(run.file(fmt::format("samples/step-{:08}.png", step)),
             draw_samples(model, run.config(), request), {.columns = 10});
}

void train(TrainOptions& options) {
  check_usage(options.resume || !options.config.data.data.empty(),
              "--data: name what to train on: {} or a folder of PNG files", dataset_names);
  if (options.steps == 0 && options.minutes == 0) options.steps = default_steps;
  const RunFolder run = open_run(options);
  const RunConfig& config = run.config();
  check_usage(!config.data.data.empty(),
              "{}: a run without images to train on; import its model again with --data",
              run.path());
  const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::train);
  const std::unique_ptr<Model> model = make_model(config);
  Trainer trainer(named_parameters(*model),
                  diffusion_objective(*model, make_path(config), config.objective),
                  config.training);
  Stopwatch watch(options.resume ? run.load_checkpoint(trainer) : 0);
  if (options.resume) run.trim_metrics(trainer.steps());
  note(fmt::format("{} images of {} x {} x {}, {} classes; {} with {} parameters; into {}",
                   data->size(), config.image.height, config.image.width, config.image.channels,
                   data->classes(), config.model, parameter_count(*model), run.path()));

  DataOrder order(data->size(), config.batch, config.training.seed);
  MetricsLog log(run, watch.seconds());
  std::int64_t saved = options.resume ? trainer.steps() : -1;
  // How many times --keep-every-minutes have passed.
  const auto passed = [&] {
    return options.keep_every > 0 ? std::floor(watch.seconds() / (60 * options.keep_every)) : 0;
  };
  double kept = passed();
  const auto save = [&](bool for_good) {
    if (saved == trainer.steps()) return;
    run.save_checkpoint(trainer, watch.seconds(), options.keep, for_good);
    saved = trainer.steps();
  };
  const auto preview = [&] {
    const UseEma use_ema(trainer.ema());
    write_preview(run, *model, trainer.steps());
    write_loss_plot(run);
  };
  catch_interrupts();
  {
    Progress progress("train", "images");
    double done = progress_of(options, trainer.steps(), watch.seconds());
    while (done < 1 && !interrupted()) {
      const StepReport report = trainer.step(data->batch(order.indices(trainer.steps())), done);
      const std::int64_t step = trainer.steps();
      done = progress_of(options, step, watch.seconds());
      log.add(report, config.batch);
      if (step % options.log_every == 0 || done >= 1) log.write(step, watch.seconds());
      const bool for_good = passed() > kept;
      kept = passed();
      if (for_good || step % options.save_every == 0) save(for_good);
      if (step % options.preview_every == 0 && done < 1) preview();
      progress.update(done, step * config.batch,
                      fmt::format("step {}  loss {:.4f}", step, log.shown_loss(report.loss)));
    }
    log.write(trainer.steps(), watch.seconds());
  }
  save(options.keep_every > 0 && !interrupted());
  check(!interrupted(),
        "stopped after step {}, which is saved; go on with: ebb train --resume --out {}",
        trainer.steps(), run.path());
  preview();
  print("{}\n", run.file(fmt::format("samples/step-{:08}.png", trainer.steps())));
}

void add_options(CLI::App& command, TrainOptions& o) {
  RunConfig& c = o.config;
  command.add_option("--out", o.out, "Folder of the run")->required();
  // These may change when a run is resumed; all others are kept with it.
  command.add_flag("--resume", o.resume, "Continue the run in --out");
  command.add_option("--steps", o.steps, "Steps in all (default 5000 without --minutes)")
      ->check(CLI::Range(1, 1'000'000'000));
  command.add_option("--minutes", o.minutes, "Minutes in all; with --steps whichever ends first")
      ->check(CLI::Range(0.001, 1e6));
  command.add_option("--preview-every", o.preview_every, "Steps between pictures")
      ->check(CLI::PositiveNumber);
  command.add_option("--save-every", o.save_every, "Steps between checkpoints")
      ->check(CLI::PositiveNumber);
  command.add_option("--log-every", o.log_every, "Steps between lines of metrics.jsonl")
      ->check(CLI::PositiveNumber);
  command.add_option("--keep", o.keep, "Checkpoints to keep")->check(CLI::PositiveNumber);
  command
      .add_option("--keep-every-minutes", o.keep_every,
                  "Also keep one each time so many minutes have passed, and the last; 0: none")
      ->check(CLI::Range(0.0, 1e6));

  const std::string fixed = "Kept by the run";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->group(fixed);
  };
  add("--data", c.data.data,
      "fashion-mnist, mnist, cifar10, shapes, or a folder of PNG files (subfolders are classes)");
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
      "karras")->check(CLI::IsMember(usable_schedules()));
  add("--timesteps", c.timesteps, "T of the schedule")->check(CLI::Range(1, 100'000));
  add("--zero-terminal-snr", c.zero_terminal_snr,
      "Stretch the schedule to end in pure noise (true, false)");
  add("--shift", o.shift, "Of schedule flow: a number, or dynamic, by image size");
  add("--prediction", o.prediction, "What the network predicts")
      ->check(CLI::IsMember({"epsilon", "x0", "v", "flow"}));
  add("--label-dropout", c.objective.label_dropout, "Share of labels made the null class")
      ->check(CLI::Range(0.0, 1.0));
  add("--stratified", c.objective.stratified, "Times of a batch spread evenly (true, false)");
  add("--loss-weight", o.loss_weight,
      "How much each level of noise counts: simple (all alike), min_snr, p2, edm")
      ->check(CLI::IsMember({"simple", "min_snr", "p2", "edm"}));
  add("--flip", c.objective.flip, "Mirror half of the images left to right (true, false)");
  add("--batch", c.batch, "Images a step")->check(CLI::Range(1, 1'000'000));
  add("--lr", c.training.learning_rate, "Learning rate")->check(CLI::Range(0.0, 10.0));
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
