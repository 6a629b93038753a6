// ebb import, ebb export: a model of Hugging Face diffusers becomes a run, and a run's model one of
// diffusers'.
#include <ebb/apps/commands/commands.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/atomic_file.h>

#include <filesystem>
#include <memory>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

struct ImportOptions {
  RunConfig config;
  std::string model, out, prediction = "epsilon", shift = "1";
};

struct ExportOptions {
  std::string run, out, weights = "ema";
  std::int64_t checkpoint = -1;
};

// What the images are like: as the data set says, else as the model does.
DatasetInfo image_of(const ImportOptions& options, const DiffusersModel& model) {
  const UNet2DConfig& unet = model.unet->config();
  const std::int64_t channels = unet.in_channels / (unet.patch_size * unet.patch_size);
  if (!options.config.data.data.empty()) {
    const DatasetInfo info = open_dataset(options.config.data, Split::train)->info();
    const auto classes = static_cast<std::int64_t>(info.class_names.size());
    check_usage(info.channels == channels && classes == model.unet->num_classes(),
                "--data {}: images of {} channels in {} classes; this model was made for {} "
                "channels and {} classes",
                options.config.data.data, info.channels, classes, channels,
                model.unet->num_classes());
    return info;
  }
  const std::int64_t size = options.config.data.size;
  DatasetInfo info{model.height, model.width, channels, {}};
  if (size > 0) info.height = info.width = size;
  check_usage(info.height > 0,
              "--size: config.json has no sample_size; say how many pixels a side images have");
  for (std::int64_t i = 0; i < model.unet->num_classes(); ++i)
    info.class_names.push_back(std::to_string(i));
  return info;
}

void import_model(ImportOptions& options) {
  RunConfig& config = options.config;
  const bool pipeline = fs::exists(options.model + "/unet/config.json");
  const DiffusersModel model =
      read_diffusers_model(pipeline ? options.model + "/unet" : options.model);
  config.unet = model.unet->config();
  check(config.unet.in_channels == config.unet.out_channels,
        "{}: {} channels go in and {} come out; this program has no use for learned variances",
        options.model, config.unet.in_channels, config.unet.out_channels);
  config.objective.prediction = parse_prediction(options.prediction);
  config.image = image_of(options, model);
  config.shift = parse_shift(options.shift, config);
  if (!model.unet->has_null_class()) config.objective.label_dropout = 0;
  make_model(config);  // what it cannot take is said before anything is written
  const Trainer trainer(named_parameters(*model.unet),
                        diffusion_objective(*model.unet, make_path(config), config.objective),
                        config.training);
  const RunFolder run = RunFolder::create(options.out, config);
  const RunLock lock = run.lock();
  run.save_checkpoint(trainer, /*seconds=*/0, /*keep=*/1);
  print("{}\n", run.path());
}

void export_model(const ExportOptions& options) {
  const RunFolder run = RunFolder::open(options.run);
  check(run.config().model == "unet", "{}: its model is {}; only that of --model unet is exported",
        options.run, run.config().model);
  check(!run.config().text && !run.config().latent,
        "{}: a network of captions or latents is more than one of diffusers' folders; export knows "
        "plain U-Nets alone",
        options.run);
  check(!fs::exists(options.out), "{}: it is there already; choose another --out", options.out);
  const auto weights = options.weights == "raw" ? RunFolder::Weights::raw : RunFolder::Weights::ema;
  DiffusersModel model{nullptr, run.config().image.height, run.config().image.width};
  model.unet.reset(static_cast<UNet2D*>(run.load_model(weights, options.checkpoint).release()));
  // Whole or not at all.
  const std::string part = temporary_name(fs::absolute(options.out).lexically_normal().string());
  try {
    write_diffusers_model(model, part);
    fs::rename(part, options.out);
    sync_folder(fs::absolute(options.out).parent_path().string());
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    fail("{}: {}", options.out, error.what());
  }
  print("{}\n", options.out);
}

}  // namespace

void add_import_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("import", "Make a run of a model of diffusers, to sample or train on");
  const auto o = std::make_shared<ImportOptions>();
  o->config.schedule = "linear";
  command->option_defaults()->always_capture_default();
  command
      ->add_option("MODEL", o->model,
                   "Folder with config.json and diffusion_pytorch_model.safetensors, or of a "
                   "pipeline with these in unet/")
      ->required();
  command->add_option("--out", o->out, "Folder of the run")->required();
  command->add_option("--schedule", o->config.schedule, "Noise schedule it was trained with")
      ->check(CLI::IsMember(usable_schedules()));
  command->add_option("--timesteps", o->config.timesteps, "T of the schedule")
      ->check(CLI::Range(1, 100'000));
  command->add_option("--prediction", o->prediction, "What it predicts")
      ->check(CLI::IsMember({"epsilon", "x0", "v", "flow"}));
  command->add_flag("--zero-terminal-snr", o->config.zero_terminal_snr,
                    "The schedule was stretched to end in pure noise");
  command->add_option("--shift", o->shift, "Of schedule flow: a number, or dynamic, by image size");
  command->add_option("--data", o->config.data.data, "Images to train it on, as in ebb train");
  command
      ->add_option("--data-dir", o->config.data.folder, "Folder of the files of mnist or cifar10")
      ->check(CLI::ExistingDirectory);
  command->add_option("--size", o->config.data.size, "Pixels a side (default: as config.json says)")
      ->check(CLI::Range(1, 1024));
  command->callback([o] { import_model(*o); });
}

void add_export_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("export", "Write a run's model as diffusers saves one");
  const auto o = std::make_shared<ExportOptions>();
  command->option_defaults()->always_capture_default();
  command->add_option("RUN", o->run, "Folder of the run")->required();
  command->add_option("--out", o->out, "Folder for config.json and the weights")->required();
  command->add_option("--weights", o->weights, "ema (average) or raw")
      ->check(CLI::IsMember({"ema", "raw"}));
  command->add_option("--checkpoint", o->checkpoint, "Step of the checkpoint; -1: the newest");
  command->callback([o] { export_model(*o); });
}

}  // namespace ebb::apps
