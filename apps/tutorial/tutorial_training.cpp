#include <ebb/apps/data/dataset.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/apps/tutorial/tutorial_training.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/weight_cache.h>

namespace ebb::apps {
namespace {

constexpr std::uint64_t seed = 42;
constexpr std::int64_t timesteps = 1000;

std::unique_ptr<Dataset> training_data() {
  try {
    return open_dataset({.data = "fashion-mnist"}, Split::train);
  } catch (const Error&) {
    note("Fashion-MNIST is not installed (Debian: dataset-fashion-mnist); using drawn shapes");
    return open_dataset({.data = "shapes"}, Split::train);
  }
}

// The mean loss of the last ten of `steps` steps.
double final_loss(const Dataset& data, std::int64_t time_features, std::int64_t steps,
                  Device device) {
  constexpr std::int64_t batch = 16;
  PhiloxGenerator generator(seed);
  ConditionalUNet model(data.classes(),
                        {.channels = data.info().channels, .time_features = time_features},
                        generator);
  move_to(model, device);
  const Path path = Path::discrete(alphas_cumprod(linear_betas(timesteps)));
  const LossFunction objective =
      diffusion_objective(model, path, {.prediction = Prediction::epsilon});
  Adam optimizer(named_parameters(model), {.learning_rate = 1e-3});
  DataOrder order(data.size(), batch, seed);
  Progress progress(time_features == 0 ? "raw t" : "sinusoidal t", "images");
  double sum = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    const Variable loss = objective(data.batch(order.indices(step)).to(device),
                                    {.seed = seed, .step = step, .batch_size = batch});
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    if (step >= steps - 10) sum += loss.item() / 10;
    progress.update(static_cast<double>(step + 1) / static_cast<double>(steps), (step + 1) * batch,
                    fmt::format("loss {:.4g}", loss.item()));
  }
  return sum;
}

// Classes as rows.
Tensor row_labels(std::int64_t classes, std::int64_t columns) {
  return repeat_interleave(Tensor::arange(classes), columns, 0);
}

void train(Trainer& trainer, const Dataset& data, std::int64_t steps, Device device) {
  constexpr std::int64_t batch = 64;
  DataOrder order(data.size(), batch, seed);
  Progress progress("train", "images");
  for (std::int64_t step = 0; step < steps; ++step) {
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    const StepReport report = trainer.step(data.batch(order.indices(step)).to(device), done);
    progress.update(static_cast<double>(step + 1) / static_cast<double>(steps), (step + 1) * batch,
                    fmt::format("loss {:.3f}", report.loss));
  }
}

}  // namespace

void compare_time_inputs(Device device) {
  constexpr std::int64_t steps = 60;
  const std::unique_ptr<Dataset> data = training_data();
  print("\n8. The mend of that loss: the tutorial's U-Net after {} steps of Adam\n", steps);
  print("   t as it is:          loss {:.3g}\n", final_loss(*data, 0, steps, device));
  print("   sines of t as input: loss {:.3g}\n", final_loss(*data, 128, steps, device));
}

void train_and_sample(const std::string& out, std::int64_t steps, Device device) {
  constexpr std::int64_t columns = 8, ddpm_steps = 250, ddim_steps = 50;
  constexpr double scale = 3;
  const std::unique_ptr<Dataset> data = training_data();
  const DatasetInfo& info = data->info();
  PhiloxGenerator generator(seed);
  UNet2D model(unet2d_preset("small", info.channels, data->classes()), generator);
  move_to(model, device);
  const Path path = Path::discrete(alphas_cumprod(cosine_betas(timesteps)));
  print("\n9. A real U-Net, {} parameters, {} steps on {} classes: {}\n", parameter_count(model),
        steps, data->classes(), fmt::format("{}", fmt::join(info.class_names, ", ")));
  Trainer trainer(named_parameters(model), diffusion_objective(model, path),
                  {.warmup_steps = 50, .seed = seed});
  train(trainer, *data, steps, device);

  const UseEma averaged(trainer.ema());
  WeightCache weights;
  const WeightCache::Scope scope(weights);
  const Tensor labels = row_labels(data->classes(), columns).to(device);
  const Conditioning nothing = model.null_conditioning(labels.numel(), device);
  const Tensor start =
      start_noise(path, {labels.numel(), info.height, info.width, info.channels}, seed).to(device);
  const ConditionalPredictor predict = [&](const Tensor& x, const Level& level,
                                           const Conditioning& given) {
    const NoGrad no_grad;
    return model(x, times_of(level, x), given).value();
  };
  auto sampling = [&](const std::string& name, double guidance, std::int64_t sampler_steps) {
    auto progress = std::make_shared<Progress>(name, "steps");
    return Sampling{
        make_denoiser(classifier_free(predict, labels, nothing, guidance), Prediction::v,
                      {.clip = {.kind = Clip::Kind::range}}),
        path, make_grid(path, sampler_steps), philox_noise(seed), [progress](const StepView& view) {
          progress->update(static_cast<double>(view.step + 1) / static_cast<double>(view.steps),
                           view.step + 1);
        }};
  };
  auto show = [&](const std::string& name, const std::string& what, const Tensor& images) {
    const std::string file = out + "/" + name + ".png";
    write_grid(file, images.to(Device::cpu), {.columns = columns});
    print("   {}\n  -> {}\n", what, file);
  };
  show("ddpm", fmt::format("DDPM, {} steps", ddpm_steps),
       ddpm(sampling("DDPM", 1, ddpm_steps), start));
  show("ddim", fmt::format("DDIM, {} steps from the same noise", ddim_steps),
       ddim(sampling("DDIM", 1, ddim_steps), start));
  show("guided", fmt::format("DDIM, {} steps from the same noise, guidance {}", ddim_steps, scale),
       ddim(sampling("guided", scale, ddim_steps), start));
}

}  // namespace ebb::apps
