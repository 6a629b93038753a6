#include <ebb/apps/data/latents.h>
#include <ebb/apps/runs/memory_forecast.h>
#include <ebb/apps/runs/sampling.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/memory.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/weight_cache.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

namespace ebb::apps {
namespace {

// `count` of them in turn, from that of sample `first`.
template <class T>
std::vector<T> in_turn(const std::vector<T>& all, std::int64_t first, std::int64_t count) {
  std::vector<T> result;
  for (std::int64_t i = first; i < first + count; ++i) result.push_back(of_sample(all, i));
  return result;
}

// The conditioning of `count` samples by these labels and prompts; of what is empty, `otherwise`.
Conditioning conditioning_of(const Model& model, const std::vector<std::int64_t>& labels,
                             const std::vector<std::string>& prompts, Conditioning otherwise,
                             std::int64_t first, std::int64_t count, Device device) {
  Conditioning result = std::move(otherwise);
  if (!labels.empty()) result.labels = Tensor::from(in_turn(labels, first, count)).to(device);
  if (!prompts.empty()) result.text_tokens = model.told(in_turn(prompts, first, count)).text_tokens;
  return model.prepared(result.to(device));
}

Predictor predictor(const Model& model, const SampleRequest& request, std::int64_t first,
                    std::int64_t count) {
  const ConditionalPredictor conditional = [&model](const Tensor& x, const Level& level,
                                                    const Conditioning& given) {
    const NoGrad no_grad;
    return model(x, times_of(level, x), given).value();
  };
  const Conditioning nothing =
      model.has_null_class() ? model.null_conditioning(count, request.device) : Conditioning();
  const Conditioning given = conditioning_of(model, request.labels, request.prompts, nothing, first,
                                             count, request.device);
  if (request.labels.empty() && request.prompts.empty())
    return [conditional, given](const Tensor& x, const Level& level) {
      return conditional(x, level, given);
    };
  GuidanceScale scale = [w = request.guidance](const Level&) { return w; };
  if (request.guidance_interval) {
    const auto [low, high] = *request.guidance_interval;
    scale = interval_scale(scale, low, high);
  }
  // Without a null class guidance is 1 (checked_grid), and nothing is moved away from.
  const Conditioning away =
      conditioning_of(model, request.negative_labels, request.negative_prompts,
                      model.has_null_class() ? nothing : given, first, count, request.device);
  return classifier_free(conditional, given, away, scale, {.rescale = request.guidance_rescale});
}

std::int64_t parse_number(const std::string& text, const std::string& all, std::int64_t classes) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_usage(error == std::errc() && end == text.data() + text.size() && !text.empty(),
              "classes '{}': '{}' is no number; give for example 0-9 or 3,5", all, text);
  check_usage(value >= 0 && value < classes, "classes '{}': {} is out of range; give 0 to {}", all,
              value, classes - 1);
  return value;
}

}  // namespace

std::vector<std::int64_t> parse_classes(const std::string& text, std::int64_t classes) {
  check_usage(classes > 0, "classes '{}': this model has no classes; leave --classes out", text);
  std::vector<std::int64_t> result;
  if (text == "all") {
    result.resize(static_cast<std::size_t>(classes));
    std::iota(result.begin(), result.end(), 0);
    return result;
  }
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t first = parse_number(part.substr(0, dash), text, classes);
    const std::int64_t last =
        dash == std::string::npos ? first : parse_number(part.substr(dash + 1), text, classes);
    check_usage(first <= last, "classes '{}': {} is above {}; exchange them", text, first, last);
    for (std::int64_t c = first; c <= last; ++c) result.push_back(c);
  }
  check_usage(!result.empty(), "classes '{}': none; give for example 0-9", text);
  return result;
}

namespace {

// The times of its steps; an Error for a request that cannot be meant.
TimeGrid checked_grid(const Model& model, const RunConfig& config, const Path& path,
                      const SampleRequest& request) {
  check_usage(request.count >= 1 && request.batch >= 1,
              "{} samples in batches of {}; give 1 or more", request.count, request.batch);
  check_usage(std::isfinite(request.guidance), "guidance {}: give a finite number",
              request.guidance);
  const bool told = !request.labels.empty() || !request.prompts.empty();
  check_usage(!told || request.guidance == 1 || model.has_null_class(),
              "--guidance {}: this model was trained without a null class, so there is nothing to "
              "guide from; give --guidance 1",
              request.guidance);
  if (config.student)
    check_usage(request.guidance == 1,
                "--guidance {}: this model was taught guidance {} and knows no other; give 1",
                request.guidance, config.student->distillation.guidance);
  TimeGridOptions options = request.grid;
  options.spacing =
      request.spacing.value_or(find_sampler(request.sampler, request.settings).spacing);
  return make_grid(path, request.steps, options);
}

}  // namespace

void use_as_taught(SampleRequest& request, const StudentConfig& student) {
  const bool halves = student.distillation.method == DistillationConfig::Method::progressive;
  request.sampler = halves ? "ddim" : "consistency";
  request.steps = halves ? student.distillation.steps : 2;
  request.guidance = 1;
}

BatchPlan plan_batches(const Model& model, const RunConfig& config, const SampleRequest& request) {
  checked_grid(model, config, make_path(config), request);
  const std::int64_t wanted = std::min(request.batch, request.count);
  const bool told = !request.labels.empty() || !request.prompts.empty();
  const std::int64_t runs = !told || request.guidance == 1 ? 1 : 2;
  const MemoryForecast network = sampling_memory(model, config, request.device);
  const MemoryForecast decoder = decoding_memory(model, config);
  const auto bytes_of = [&](std::int64_t images) {
    return network.of(runs * images) + decoder.of(std::min(images, latents_at_once));
  };
  check_memory("drawing one image", bytes_of(1),
               "free some, or train a smaller --preset or --size");
  BatchPlan plan{wanted, bytes_of(wanted), bytes_of(wanted)};
  const double limit = memory_limit();
  while (plan.bytes > limit) {
    plan.batch -= (plan.batch + 7) / 8;
    plan.bytes = bytes_of(plan.batch);
  }
  return plan;
}

Tensor pictures_of(const RunConfig& config, const Tensor& samples) {
  return config.latent ? decode_latents(*config.latent->autoencoder, samples) : samples;
}

void draw_each(const Model& model, const RunConfig& config, const SampleRequest& request,
               const SampleSink& sink, const SamplingObserver& observer) {
  const Path path = make_path(config);
  const TimeGrid grid = checked_grid(model, config, path, request);
  WeightCache weights;
  const WeightCache::Scope scope(weights);
  const BatchPlan plan = plan_batches(model, config, request);
  for (std::int64_t first = 0; first < request.count; first += plan.batch) {
    const std::int64_t count = std::min(plan.batch, request.count - first);
    const std::int64_t index = request.first_index + first;
    const Denoiser denoiser =
        make_denoiser(predictor(model, request, first, count), config.objective.prediction,
                      {request.clip.value_or(model.sample.clip)});
    Observer observe;
    if (observer) observe = [&](const StepView& view) { observer({first, request.count, view}); };
    const Tensor start =
        start_noise(grid[0], model.sample.shape(count), request.seed, index).to(request.device);
    const Sampling sampling{denoiser, path, grid, philox_noise(request.seed, index), observe};
    const Tensor images = request.drawing
                              ? request.drawing(sampling, start, first)
                              : run_sampler(request.sampler, sampling, start, request.settings);
    check(
        all_finite(images),
        "sampler {}, {} steps, guidance {}: images {} to {} are not finite; give more steps, less "
        "guidance or another sampler",
        request.sampler, request.steps, request.guidance, index, index + count - 1);
    sink(pictures_of(config, images.to(Device::cpu)));
  }
}

Tensor draw_samples(const Model& model, const RunConfig& config, const SampleRequest& request,
                    const SamplingObserver& observer) {
  const DatasetInfo& image = config.image;
  const auto values = static_cast<double>(image.height * image.width * image.channels);
  check_memory(fmt::format("{} samples at once", request.count),
               2 * sizeof(float) * values * static_cast<double>(request.count));
  std::vector<Tensor> parts;
  draw_each(
      model, config, request, [&](const Tensor& images) { parts.push_back(images); }, observer);
  return cat(parts, 0);
}

}  // namespace ebb::apps
