#include <ebb/apps/commands/edit_flags.h>
#include <ebb/apps/system/console.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/tensor/ops/layout.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

namespace ebb::apps {
namespace {

// The images that samples `first`, ... are made of, where `start` is.
Tensor part_of(const Tensor& images, std::int64_t first, const Tensor& start) {
  return slice(images, 0, first, first + start.size(0)).to(start.device());
}

// (count, H, W, C) in [-1, 1], of the run's size.
Tensor source_images(const std::string& from, const RunConfig& config, std::int64_t count) {
  if (from == "data") {
    const std::unique_ptr<Dataset> data = open_dataset(config.data, Split::test);
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
    std::iota(indices.begin(), indices.end(), 0);
    for (std::int64_t& index : indices) index %= data->size();
    return data->batch(indices).images;
  }
  const Image image = with_channels(read_png(from), config.image.channels);
  const Tensor one = to_tensor(resized(image, config.image.height, config.image.width));
  return stack(std::vector<Tensor>(static_cast<std::size_t>(count), one), 0);
}

// Row r goes from the noise of sample 2r to that of sample 2r + 1, with the class of sample r.
Drawing interpolation(const SampleRequest& request, std::int64_t columns) {
  return [=](const Sampling& sampling, const Tensor& start, std::int64_t first) {
    Shape one = start.shape();
    one.set(0, 1);
    std::vector<Tensor> rows;
    for (std::int64_t i = first; i < first + start.size(0); ++i) {
      const auto end = [&](std::int64_t k) {
        return start_noise(sampling.grid[0], one, request.seed,
                           request.first_index + i / columns * 2 + k);
      };
      const double u = static_cast<double>(i % columns) / static_cast<double>(columns - 1);
      rows.push_back(slerp(end(0), end(1), u));
    }
    return run_sampler(request.sampler, sampling, cat(rows, 0).to(start.device()),
                       request.settings);
  };
}

Drawing image_to_image(const SampleRequest& request, const Tensor& images, double strength) {
  return [=](const Sampling& sampling, const Tensor& start, std::int64_t first) {
    Sampling part = sampling;
    part.grid = tail_of(sampling.grid, strength);
    const Tensor z = start * (1 / sampling.grid[0].size());
    const Tensor x = noised_to(part.grid[0], part_of(images, first, start), z);
    return run_sampler(request.sampler, part, x, request.settings);
  };
}

Drawing inpainting(const Tensor& images, const Tensor& mask, std::int64_t resample) {
  return [=](const Sampling& sampling, const Tensor& start, std::int64_t first) {
    return repaint(sampling, start, part_of(images, first, start), mask.to(start.device()),
                   {resample, 1});
  };
}

Drawing reconstruction(const Tensor& images, std::shared_ptr<std::vector<Tensor>> latents) {
  return [=](const Sampling& sampling, const Tensor& start, std::int64_t first) {
    Sampling up = sampling;
    up.grid = inverted(sampling.grid);
    const Tensor latent = ddim_inversion(up, part_of(images, first, start));
    latents->push_back(latent.to(Device::cpu));
    return ddim(sampling, latent);
  };
}

}  // namespace

Tensor source_mask(const std::string& mask, std::int64_t height, std::int64_t width) {
  const auto painted = [&](std::int64_t y, std::int64_t x) {
    if (mask == "left") return 2 * x < width;
    if (mask == "right") return 2 * x >= width;
    if (mask == "top") return 2 * y < height;
    if (mask == "bottom") return 2 * y >= height;
    return 4 * y >= height && 4 * y < 3 * height && 4 * x >= width && 4 * x < 3 * width;
  };
  const std::vector<std::string> names{"left", "right", "top", "bottom", "center"};
  const bool named = std::find(names.begin(), names.end(), mask) != names.end();
  check_usage(named || std::filesystem::path(mask).extension() == ".png",
              "--mask {}: give left, right, top, bottom, center, or a .png whose black is painted "
              "anew",
              mask);
  Image image;
  if (!named) image = resized(with_channels(read_png(mask), 1), height, width);
  std::vector<float> kept;
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      const bool black =
          named ? painted(y, x) : image.pixels[static_cast<std::size_t>(y * width + x)] < 128;
      kept.push_back(black ? 0.0f : 1.0f);
    }
  return Tensor::from(kept, {1, height, width, 1});
}

Editing::Editing(const EditOptions& options, SampleRequest& request, const RunConfig& config) {
  const bool image = options.strength != 0, paint = !options.mask.empty();
  const int modes = (options.interpolate != 0) + image + paint + options.reconstruct;
  check_usage(modes <= 1,
              "--interpolate, --strength, --mask and --reconstruct exclude each other; give one");
  const bool sourced = image || paint || options.reconstruct;
  check_usage(!sourced || !options.from.empty(),
              "--strength, --mask and --reconstruct change an image; name it by --from");
  check_usage(sourced || options.from.empty(),
              "--from {}: say what to do with it: --strength, --mask or --reconstruct",
              options.from);
  if (modes == 0) return;
  if (options.interpolate != 0) {
    check_usage(options.interpolate >= 2, "--interpolate {}: give 2 or more images a row",
                options.interpolate);
    columns_ = options.interpolate;
    // All of a row have the class or the prompt of the row.
    std::vector<std::int64_t> labels;
    std::vector<std::string> prompts;
    for (std::int64_t i = 0; i < request.count; ++i) {
      if (!request.labels.empty()) labels.push_back(of_sample(request.labels, i / columns_));
      if (!request.prompts.empty()) prompts.push_back(of_sample(request.prompts, i / columns_));
    }
    request.labels = labels;
    request.prompts = prompts;
    request.drawing = interpolation(request, columns_);
    return;
  }
  check_usage(!config.latent,
              "--from: this model works on latents, which are not edited; use one of pixels");
  check_usage(options.resample >= 1, "--resample {}: give 1 or more", options.resample);
  check_usage(!image || (options.strength > 0 && options.strength <= 1),
              "--strength {}: give more than 0 and at most 1", options.strength);
  const Tensor images = source_images(options.from, config, request.count);
  shown_ = images;
  columns_ = std::min<std::int64_t>(request.count, 10);
  if (image) request.drawing = image_to_image(request, images, options.strength);
  if (options.reconstruct) request.drawing = reconstruction(images, latents_);
  if (paint) {
    const Tensor mask = source_mask(options.mask, config.image.height, config.image.width);
    shown_ = images * mask;
    request.drawing = inpainting(images, mask, options.resample);
  }
}

Tensor Editing::picture(const Tensor& results, std::int64_t& columns) const {
  if (columns == 0) columns = columns_;
  if (!shown_.defined()) return results;
  std::vector<Tensor> kinds{shown_, results};
  // Latents are standard normal: half of that fills the range.
  if (!latents_->empty()) kinds.insert(kinds.begin() + 1, cat(*latents_, 0) * 0.5);
  std::vector<Tensor> rows;
  for (std::int64_t first = 0; first < results.size(0); first += columns)
    for (const Tensor& kind : kinds) {
      const std::int64_t count = std::min(columns, results.size(0) - first);
      rows.push_back(slice(kind, 0, first, first + count));
      Shape rest = results.shape();
      rest.set(0, columns - count);
      if (count < columns) rows.push_back(Tensor::ones(rest));
    }
  return cat(rows, 0);
}

}  // namespace ebb::apps
