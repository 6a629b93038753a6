#include <ebb/apps/runs/memory_forecast.h>
#include <ebb/apps/runs/sampling.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/memory.h>
#include <ebb/apps/training/setup.h>
#include <ebb/tensor/ops/layout.h>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace ebb::apps {
namespace {

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

Batch batch_of(const TrainingSetup& setup, const RunConfig& config,
               const std::vector<std::int64_t>& indices) {
  Batch batch;
  if (setup.latents.defined()) {
    batch.images = index_select(setup.latents, 0, Tensor::from(indices));
    batch.conditioning = setup.data->conditioning(indices);
  } else {
    batch = setup.data->batch(indices);
  }
  if (config.text)
    batch.conditioning.text_tokens = setup.model->told(setup.data->captions(indices)).text_tokens;
  return batch;
}

// Images that a step has in memory at once, and so may a preview.
std::int64_t images_at_once(const RunConfig& config) {
  return std::max<std::int64_t>(1, config.batch / config.training.accumulation);
}

// The same noise each time, so that the previews show one set of images becoming clear.
Tensor sampled_preview(const TrainingSetup& setup, const RunConfig& config, Device device) {
  const Model& model = *setup.model;
  SampleRequest request;
  request.steps = std::min<std::int64_t>(20, config.timesteps);
  request.count = 40;
  if (config.student) use_as_taught(request, *config.student);
  request.device = device;
  request.batch = images_at_once(config);
  if (model.num_classes() > 0) {
    request.labels = parse_classes("all", model.num_classes());
    request.labels.resize(std::min<std::size_t>(request.labels.size(), 10));
  }
  if (config.text)
    for (std::int64_t i = 0; i < std::min<std::int64_t>(10, setup.data->size()); ++i)
      request.prompts.push_back(setup.data->caption(i));
  if (model.has_null_class() && (config.text || model.num_classes() > 0) && !config.student)
    request.guidance = 2;
  return draw_samples(model, config, request, [](const SamplingView&) {
    if (interrupted()) throw Cancelled();
  });
}

// Twice a row of images over a row of what they are decoded to.
Tensor reconstruction_preview(const TrainingSetup& setup, const RunConfig& config, Device device) {
  const NoGrad no_grad;
  std::vector<Tensor> rows;
  for (std::int64_t first : {0, 10}) {
    std::vector<std::int64_t> indices(10);
    std::iota(indices.begin(), indices.end(), first);
    for (std::int64_t& index : indices) index %= setup.data->size();
    const Tensor row = setup.data->batch(indices).images;
    rows.push_back(row);
    const std::int64_t at_once = std::min<std::int64_t>(10, images_at_once(config));
    for (std::int64_t i = 0; i < 10; i += at_once) {
      const Tensor images = slice(row, 0, i, std::min<std::int64_t>(10, i + at_once));
      const Variable means = setup.autoencoder->encode(images.to(device)).mean;
      rows.push_back(setup.autoencoder->decode(means).value().to(Device::cpu));
    }
  }
  return cat(rows, 0);
}

// Seconds that a step takes, by the second of two passes over a few images.
double time_step(const TrainingSetup& setup, const LossFunction& loss,
                 const std::vector<NamedParameter>& parameters, const RunConfig& config,
                 Device device) {
  const std::int64_t part =
      (config.batch + config.training.accumulation - 1) / config.training.accumulation;
  std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min<std::int64_t>(8, part)));
  std::iota(indices.begin(), indices.end(), 0);
  for (std::int64_t& index : indices) index %= setup.task.size;
  const Batch batch = setup.task.batch(indices).to(device);
  double seconds = 0;
  for (int pass = 0; pass < 2; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    loss(batch, {.batch_size = std::ssize(indices)}).backward();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (const NamedParameter& p : parameters) Variable(p.variable).zero_grad();
  }
  return seconds * static_cast<double>(config.batch) / static_cast<double>(indices.size());
}

}  // namespace

std::int64_t TrainingSetup::parameters() const {
  return model ? parameter_count(*model) : parameter_count(*autoencoder);
}

std::unique_ptr<TrainingSetup> set_up(const RunConfig& config, const TrainingPlan& plan,
                                      const TrainingSources& sources) {
  auto setup = std::make_unique<TrainingSetup>();
  setup->data = open_dataset(config.data, Split::train);
  check_usage(config.training.accumulation <= config.batch,
              "--accumulation {}: a batch of {} cannot be cut into so many parts; lower it",
              config.training.accumulation, config.batch);
  const Device device = plan.device;
  TrainingTask& task = setup->task;
  task.size = setup->data->size();
  const TrainingSetup& s = *setup;
  LossFunction loss;
  std::vector<NamedParameter> parameters;
  if (config.model == "autoencoder") {
    setup->autoencoder = make_autoencoder(config, device);
    parameters = named_parameters(*setup->autoencoder);
    loss = autoencoder_objective(*setup->autoencoder, config.reconstruction);
    task.preview = [&s, config, device] { return reconstruction_preview(s, config, device); };
  } else {
    setup->model = make_model(config, device);
    const Path path = make_path(config);
    parameters = named_parameters(*setup->model);
    loss = diffusion_objective(*setup->model, path, config.objective);
    if (config.student) {
      const DistillationConfig& how = config.student->distillation;
      const Prediction prediction = config.objective.prediction;
      if (!sources.teacher.empty()) load_state_dict(*setup->model, sources.teacher);
      if (how.method == DistillationConfig::Method::consistency_training) {
        loss = consistency_objective(*setup->model, path, prediction, how);
      } else {
        setup->teacher = make_model(config, device);
        load_state_dict(*setup->teacher, sources.teacher);
        loss = distillation_objective(*setup->model, *setup->teacher, path, prediction, how);
      }
    }
    task.preview = [&s, config, device] { return sampled_preview(s, config, device); };
  }
  if (config.latent) setup->latents = config.latent->autoencoder->scaled(sources.latents);
  task.batch = [&s, config](const std::vector<std::int64_t>& indices) {
    return batch_of(s, config, indices);
  };
  setup->trainer = std::make_unique<Trainer>(parameters, loss, config.training);
  setup->memory = check_step_memory(config);
  setup->seconds = time_step(s, loss, parameters, config, device);
  return setup;
}

}  // namespace ebb::apps
