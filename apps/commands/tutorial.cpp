// `ebb tutorial`: the tutorial from start to end, number for number, then what it leaves out.
#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/plots/gnuplot.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/apps/tutorial/notebook.h>
#include <ebb/apps/tutorial/second_part.h>
#include <ebb/apps/tutorial/tutorial_training.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/reduce.h>

#include <filesystem>

namespace ebb::apps {
namespace {

// Values in [0, 1], the rest cut off, as a strip of pictures.
void write_strip(const std::string& path, const Tensor& images) {
  write_grid(path, clamp(images, 0, 1) * 2.0 - 1.0, {.columns = images.size(0), .scale = 3});
  print("  -> {}\n", path);
}

std::string range_of(const Tensor& x) {
  return fmt::format("[{:.2f}, {:.2f}]", amin(x).item(), amax(x).item());
}

void forward_process(const std::string& out, const Path& path, Generator& generator) {
  const std::vector<std::int64_t> times{0, 50, 100, notebook::timesteps - 1};
  print("1. Forward: a white square sinks into noise\n");
  for (const std::int64_t t : times)
    print("   t = {:3}: {:.3f} x_0 + {:.3f} noise\n", t, path.alpha(static_cast<double>(t)),
          path.sigma(static_cast<double>(t)));
  write_strip(out + "/forward.png", cat(notebook::noised_squares(path, times, generator), 0));
}

void untrained_model(const std::string& out, const Path& path, Generator& generator,
                     Device device) {
  print("\n2. A U-Net that is to predict the noise\n");
  SimpleUNet model({}, generator);
  move_to(model, device);
  print("Model created!\n   {} parameters\n", parameter_count(model));

  print("\n3. One loss, before any training\n");
  const notebook::TrainingCell cell = notebook::training_cell(model, path, generator, device);
  print("Loss: {}\n", cell.loss.item());
  print("   So large because t goes in as it is: up to {} among inputs near 1.\n",
        notebook::timesteps - 1);

  print("\n4. DDPM: from pure noise down all {} steps, with the untrained weights\n",
        notebook::timesteps);
  Progress progress("DDPM", "steps");
  const auto observe = [&](const StepView& view) {
    progress.update(static_cast<double>(view.step + 1) / static_cast<double>(view.steps),
                    view.step + 1);
  };
  const Tensor samples =
      notebook::ddpm_cell(model, path, generator, observe, device).to(Device::cpu);
  print("Sampled images shape: {}, range {}: noise in, noise out\n", nhwc_to_nchw(samples).shape(),
        range_of(samples));
  write_strip(out + "/samples.png", samples);

  print("\n5. DDIM: the same model, fewer steps\n");
  print("  DDPM: {} steps\n  DDIM: 50 steps or fewer, and no noise on the way\n",
        notebook::timesteps);
}

void guidance(Generator& generator, Device device) {
  constexpr double scale = 7.5;
  print(
      "\n6. Classifier-free guidance: away from the answer without a class, towards the one "
      "with\n");
  ConditionalUNet model(10, {}, generator);
  move_to(model, device);
  const notebook::GuidanceCell cell = notebook::guidance_cell(model, scale, generator, device);
  print("Without guidance (scale 1): noise range {}\n", range_of(cell.conditional));
  print("With guidance (scale {}): noise range {}\n", scale, range_of(cell.guided));
}

void schedules(const std::string& out) {
  constexpr std::int64_t T = 1000;
  const std::vector<std::pair<std::string, std::vector<double>>> all{
      {"linear", linear_betas(T)},
      {"cosine", cosine_betas(T, 0.008, 0.9999, 0.0001)},
      {"quadratic", quadratic_betas(T)},
  };
  print("\n7. Schedules over {} steps: where half of the signal's variance is gone\n", T);
  Plot beta, signal;
  beta.title = "noise added at each step", beta.x_label = "t", beta.y_label = "beta";
  beta.y_range = {0, 0.05};  // cosine's last steps reach 1 and would flatten the others
  signal.title = "signal that is left", signal.x_label = "t", signal.y_label = "alpha bar";
  std::vector<double> times(T);
  for (std::int64_t t = 0; t < T; ++t) times[t] = static_cast<double>(t);
  for (const auto& [name, betas] : all) {
    const std::vector<double> left = alphas_cumprod(betas);
    const auto half = std::find_if(left.begin(), left.end(), [](double a) { return a < 0.5; });
    print("   {:10} t = {}\n", name, half - left.begin());
    beta.curves.push_back({name, times, betas});
    signal.curves.push_back({name, times, left});
  }
  print(
      "   Cosine keeps the signal longest: more steps at noise levels where shapes are decided.\n");
  const std::string path = out + "/schedules.png";
  if (write_plots(path, {beta, signal})) print("  -> {}\n", path);
}

struct Options {
  std::string out = "tutorial";
  std::int64_t steps = 700, part = 1;
  double minutes = 30;
  Device device = Device::cpu;
};

void run(const Options& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  check(!failed, "cannot make the folder '{}': {}; choose another with --out", options.out,
        failed.message());
  if (options.part == 2) return second_part({.out = options.out, .minutes = options.minutes});
  TorchGenerator generator(notebook::seed);
  const Path path = notebook::path();
  forward_process(options.out, path, generator);
  untrained_model(options.out, path, generator, options.device);
  guidance(generator, options.device);
  schedules(options.out);
  compare_time_inputs(options.device);
  train_and_sample(options.out, options.steps, options.device);
}

}  // namespace

void add_tutorial_command(CLI::App& app) {
  auto* const command = app.add_subcommand(
      "tutorial", "The diffusion tutorial in PyTorch's numbers, then a model that is trained");
  auto options = std::make_shared<Options>();
  command->add_option("--out", options->out, "Folder for the pictures")->capture_default_str();
  command->add_option("--steps", options->steps, "Training steps of the last part")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command
      ->add_option("--part", options->part,
                   "1: the tutorial's code; 2: its second half, latents, words and fewer steps")
      ->capture_default_str()
      ->check(CLI::IsMember({1, 2}));
  command->add_option("--minutes", options->minutes, "Training of part 2, in all")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  add_device_option(*command, options->device);
  command->callback([options] { run(*options); });
}

}  // namespace ebb::apps
