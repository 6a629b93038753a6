#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/training/start.h>

#include <memory>
#include <set>

namespace ebb::apps {
namespace {

// Of an unfinished run all but those of the plan and the learning rate are kept: their group.
constexpr const char* kept_by_the_run = "Kept by the run";

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
  command
      .add_option("--lr", o.learning_rate,
                  "Learning rate (of a student 0.0005); a resumed run may lower it")
      ->default_str(fmt::format("{}", c.training.learning_rate))
      ->check(CLI::Range(0.0, 10.0));

  const std::string fixed = kept_by_the_run;
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
  add("--schedule", o.schedule,
      "Noise schedule (default cosine, with captions flow); below 100 steps exponential and "
      "laplace are best sampled with --spacing "
      "karras")
      ->check(CLI::IsMember(usable_schedules()));
  add("--timesteps", c.timesteps, "T of the schedule")->check(CLI::Range(1, 100'000));
  add("--zero-terminal-snr", c.zero_terminal_snr,
      "Stretch the schedule to end in pure noise (true, false)");
  add("--shift", o.shift,
      "Of schedule flow: a number, or dynamic, by image size (default 1, with captions 2)");
  add("--prediction", o.prediction, "What the network predicts (default v, with captions flow)")
      ->check(CLI::IsMember({"epsilon", "x0", "v", "flow"}));
  add("--label-dropout", c.objective.label_dropout,
      "Share of labels made the null class, of captions the empty text")
      ->check(CLI::Range(0.0, 1.0));
  add("--times", o.times,
      "Which times are seen: uniform (all alike) or logit_normal (the middle more often; default "
      "uniform, with captions logit_normal)")
      ->check(CLI::IsMember({"uniform", "logit_normal"}));
  add("--stratified", c.objective.stratified, "Times of a batch spread evenly (true, false)");
  add("--loss-weight", o.loss_weight,
      "How much each level of noise counts: simple (all alike), min_snr, p2, edm")
      ->check(CLI::IsMember({"simple", "min_snr", "p2", "edm"}));
  add("--flip", c.objective.flip, "Mirror half of the images left to right (true, false)");
  add("--batch", o.batch, "Images a step (default 64, with captions or of an autoencoder 16)")
      ->check(CLI::Range(1, 1'000'000));
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
      const bool kept = option->count() > 0 && option->get_group() == kept_by_the_run;
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
