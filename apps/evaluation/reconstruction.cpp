#include <ebb/apps/evaluation/reconstruction.h>
#include <ebb/apps/evaluation/scene_classifier.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/diffusion/schedules/prediction.h>
#include <ebb/nn/training/trainer.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

namespace ebb::apps {
namespace {

constexpr std::int64_t decoded_at_once = 32, least_tested = 2, pictured = 10;

std::function<Tensor(const Tensor&)> features_of(const RunConfig& config, const Dataset& train,
                                                 const FeatureClassifierOptions& options) {
  if (config.data.data == "scenes")
    return [judge = SceneClassifier(config.image.width, options)](const Tensor& images) {
      return judge.features(images);
    };
  return [judge = open_feature_classifier(config.data, train, options)](const Tensor& images) {
    return classify(judge.network, images).features;
  };
}

Tensor images_of(const Dataset& data, std::int64_t count) {
  return data.batch(DataOrder(data.size(), count, 0).indices(0)).images;
}

}  // namespace

nlohmann::json to_json(const ReconstructionMetrics& m) {
  return {{"psnr", m.psnr},
          {"frechet_distance", m.frechet_distance},
          {"frechet_floor", m.frechet_floor},
          {"latent_mean", m.latent_mean},
          {"latent_std", m.latent_std},
          {"kl", m.kl}};
}

void evaluate_reconstructions(AutoencoderKL& autoencoder, const RunConfig& config,
                              const FeatureClassifierOptions& classifier, std::int64_t count,
                              nlohmann::json head, const std::string& out) {
  const std::unique_ptr<Dataset> train = open_dataset(config.data, Split::train);
  const std::unique_ptr<Dataset> test = open_dataset(config.data, Split::test);
  count = std::min({count, test->size(), train->size()});
  check(count >= least_tested, "evaluate: {} test images; {} are needed", count, least_tested);
  const auto features = features_of(config, *train, classifier);  // which may train it
  const NoGrad no_grad;
  const Tensor images = images_of(*test, count), others = features(images_of(*train, count));
  std::vector<Tensor> decoded, means;
  double kl = 0;
  Progress progress("reconstruct", "images");
  for (std::int64_t first = 0; first < count; first += decoded_at_once) {
    if (interrupted()) throw Cancelled();
    const DiagonalGaussian latents =
        autoencoder.encode(slice(images, 0, first, first + decoded_at_once));
    means.push_back(latents.mean.value());
    kl += sum(latents.kl().value()).item();
    decoded.push_back(clamp(autoencoder.decode(latents.mean).value(), -1, 1));
    progress.update(static_cast<double>(first) / static_cast<double>(count), first);
  }
  const Tensor back = cat(decoded, 0), latents = cat(means, 0);
  ReconstructionMetrics m;
  constexpr double range = 2;
  m.psnr = -10 * std::log10(mean(square(back - images)).item() / (range * range));
  m.frechet_distance = frechet_distance(features(back), others);
  m.frechet_floor = frechet_distance(features(images), others);
  m.latent_mean = mean(latents).item();
  m.latent_std = std::sqrt(mean(square(latents - m.latent_mean)).item());
  m.kl = kl / static_cast<double>(latents.numel());

  std::vector<Tensor> rows;
  const std::int64_t columns = std::min(pictured, count);
  for (std::int64_t first = 0; first + columns <= std::min(count, 4 * pictured); first += columns) {
    rows.push_back(slice(images, 0, first, first + columns));
    rows.push_back(slice(back, 0, first, first + columns));
  }
  const std::string picture = std::filesystem::path(out).replace_extension(".png").string();
  write_grid(picture, cat(rows, 0), {.columns = columns});
  head["reconstruction"] = to_json(m);
  write_file(out, head.dump(2) + "\n");
  print("{:<44}{:>10.2f}\n", "PSNR of test images, dB", m.psnr);
  print("{:<44}{:>10.3f}\n", "Frechet distance of reconstructions", m.frechet_distance);
  print("{:<44}{:>10.3f}\n", "Frechet distance of the images themselves", m.frechet_floor);
  print("{:<44}{:>10.3f}\n", "latents' mean", m.latent_mean);
  print("{:<44}{:>10.3f}\n", "latents' standard deviation", m.latent_std);
  print("{:<44}{:>10.3f}\n", "divergence from N(0, 1), nats a value", m.kl);
  print("{}\n{}\n", out, picture);
}

}  // namespace ebb::apps
