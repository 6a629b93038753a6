#include <ebb/apps/data/latents.h>
#include <ebb/apps/runs/memory_forecast.h>
#include <ebb/apps/system/memory.h>
#include <ebb/nn/training/batch_loader.h>
#include <ebb/tensor/storage.h>
#include <ebb/tensor/threads.h>
#include <ebb/tensor/weight_cache.h>

#include <algorithm>

namespace ebb::apps {
namespace {

constexpr std::int64_t most_pixels = 4096, least_side = 32;
// Bytes that the kernels of a thread work in.
constexpr double bytes_of_thread = 4e6;
// Images that a multistep sampler keeps, with x, its noise and what the network said.
constexpr double images_of_sampler = 10;

// Samples of the network's size, or small square ones that it can take.
Tensor small_images(const RunConfig& config, const SampleSpec& sample, std::int64_t count,
                    Device device) {
  if (sample.height * sample.width <= most_pixels)
    return Tensor::zeros(sample.shape(count), DType::float32, device);
  const std::int64_t factor = config.model == "unet" ? side_multiple(config.unet)
                              : config.model == "autoencoder"
                                  ? std::int64_t{1}
                                        << (config.autoencoder.block_out_channels.size() - 1)
                                  : least_side;
  const std::int64_t side = (least_side + factor - 1) / factor * factor;
  return Tensor::zeros({count, side, side, sample.channels}, DType::float32, device);
}

// What it can be told, as much as it would be.
Conditioning any_conditioning(const Model& model, const Tensor& images) {
  if (model.has_null_class()) return model.null_conditioning(images.size(0), images.device());
  return model.num_classes() > 0 ? Tensor::zeros({images.size(0)}, DType::int64, images.device())
                                 : Tensor();
}

// What `work` takes from the system for one and for two images.
template <class Work>
MemoryForecast measure(const RunConfig& config, const SampleSpec& sample, Device device,
                       const Work& work) {
  double taken[2], pixels = 0;
  for (const std::int64_t count : {1, 2}) {
    release_cached_storage(device);
    const StorageStatistics before = storage_statistics(device);
    const Tensor images = small_images(config, sample, count, device);
    pixels = static_cast<double>(images.size(1) * images.size(2));
    work(images);
    const StorageStatistics after = storage_statistics(device);
    taken[count - 1] = static_cast<double>(after.bytes_live + after.bytes_cached) -
                       static_cast<double>(before.bytes_live);
  }
  release_cached_storage(device);
  const double per_image = std::max(0.0, taken[1] - taken[0]);
  const auto all_pixels = static_cast<double>(sample.height * sample.width);
  return {std::max(0.0, taken[0] - per_image), per_image * all_pixels / pixels};
}

}  // namespace

MemoryForecast training_memory(const RunConfig& config) {
  const double held = resident_memory();
  std::unique_ptr<Model> model;
  std::unique_ptr<AutoencoderKL> autoencoder;
  SampleSpec sample{config.image.height, config.image.width, config.image.channels};
  LossFunction loss;
  std::vector<NamedParameter> parameters;
  if (config.model == "autoencoder") {
    autoencoder = make_autoencoder(config);
    loss = autoencoder_objective(*autoencoder, config.reconstruction);
    parameters = named_parameters(*autoencoder);
  } else {
    model = make_model(config);
    sample = model->sample;
    loss = diffusion_objective(*model, make_path(config), config.objective);
    parameters = named_parameters(*model);
  }
  MemoryForecast forecast = measure(config, sample, Device::cpu, [&](const Tensor& images) {
    loss({images, model ? any_conditioning(*model, images) : Conditioning()},
         {.batch_size = images.size(0)})
        .backward();
    for (const NamedParameter& p : parameters) Variable(p.variable).zero_grad();
  });
  const double batch = 4.0 * static_cast<double>(sample.shape(config.batch).numel());
  forecast.fixed += held + bytes_of_thread * thread_count() +
                    batch * static_cast<double>(BatchLoader::usual_ahead);
  return forecast;
}

MemoryForecast sampling_memory(const Model& model, const RunConfig& config, Device device) {
  const double held = resident_memory();
  MemoryForecast forecast = measure(config, model.sample, device, [&](const Tensor& images) {
    const NoGrad no_grad;
    WeightCache weights;
    const WeightCache::Scope scope(weights);
    model(images, Tensor::zeros({images.size(0)}, DType::float32, device),
          any_conditioning(model, images));
  });
  forecast.fixed += held + bytes_of_thread * thread_count();
  forecast.per_image +=
      images_of_sampler * 4.0 * static_cast<double>(model.sample.shape(1).numel());
  return forecast;
}

MemoryForecast decoding_memory(const Model& model, const RunConfig& config) {
  if (!config.latent) return {};
  return measure(config, model.sample, Device::cpu, [&](const Tensor& latents) {
    decode_latents(*config.latent->autoencoder, latents);
  });
}

}  // namespace ebb::apps
