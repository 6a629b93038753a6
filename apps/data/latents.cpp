#include <ebb/apps/data/latents.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/content_hash.h>
#include <ebb/apps/system/memory.h>
#include <ebb/apps/system/progress.h>
#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>
#include <filesystem>
#include <numeric>

namespace ebb::apps {

std::string content_hash(AutoencoderKL& autoencoder) {
  const AutoencoderKLConfig& config = autoencoder.config();
  return content_hash(state_dict(autoencoder), {config.scaling_factor, config.shift_factor});
}

Tensor latents_of(const Dataset& data, AutoencoderKL& autoencoder, const std::string& path) {
  const std::string hash = content_hash(autoencoder);
  if (!path.empty() && std::filesystem::exists(path)) {
    const Safetensors file = read_safetensors(path);
    const auto made_by = file.metadata.find("ebb.autoencoder");
    if (made_by != file.metadata.end() && made_by->second == hash && file.contains("latents") &&
        file["latents"].size(0) == data.size())
      return file["latents"];
  }
  const DatasetInfo& image = data.info();
  const std::int64_t factor = autoencoder.factor();
  const Shape shape{data.size(), image.height / factor, image.width / factor,
                    autoencoder.config().latent_channels};
  check_memory("the latents of the data set", 2 * 4.0 * static_cast<double>(shape.numel()),
               "train in pixels, or give a smaller --size");
  const NoGrad no_grad;
  std::vector<Tensor> parts;
  Progress progress("encode", "images");
  for (std::int64_t first = 0; first < data.size(); first += latents_at_once) {
    if (interrupted()) throw Cancelled();
    std::vector<std::int64_t> indices(
        static_cast<std::size_t>(std::min(latents_at_once, data.size() - first)));
    std::iota(indices.begin(), indices.end(), first);
    parts.push_back(autoencoder.encode(data.batch(indices).images).mean.value());
    const std::int64_t done = first + std::ssize(indices);
    progress.update(static_cast<double>(done) / static_cast<double>(data.size()), done);
  }
  return cat(parts, 0);
}

void write_latents(const std::string& path, const Tensor& latents, const std::string& hash) {
  write_safetensors(path, {{"latents", latents}}, {{"ebb.autoencoder", hash}});
}

void measure_scale(AutoencoderKL& autoencoder, const Tensor& latents) {
  const double shift = mean(latents).item();
  const double deviation = std::sqrt(mean(square(add(latents, -shift))).item());
  check(std::isfinite(deviation) && deviation > 0,
        "the latents' standard deviation is {}; train the autoencoder longer or with a smaller "
        "--kl-weight",
        deviation);
  autoencoder.set_scale(1 / deviation, shift);
}

Tensor decode_latents(const AutoencoderKL& autoencoder, const Tensor& scaled) {
  const NoGrad no_grad;
  std::vector<Tensor> parts;
  for (std::int64_t first = 0; first < scaled.size(0); first += latents_at_once) {
    const Tensor part = slice(scaled, 0, first, std::min(first + latents_at_once, scaled.size(0)));
    parts.push_back(autoencoder.decode(autoencoder.unscaled(part)).value());
  }
  return cat(parts, 0);
}

}  // namespace ebb::apps
