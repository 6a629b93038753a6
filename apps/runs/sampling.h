// Images from a trained network.
#pragma once

#include <ebb/apps/runs/run_config.h>
#include <ebb/diffusion/samplers/registry.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ebb::apps {

// How a batch comes from its start; `first` is the number of its first sample. Without one the
// sampler runs.
using Drawing = std::function<Tensor(const Sampling& sampling, Tensor start, std::int64_t first)>;

struct SampleRequest {
  std::string sampler = "ddim";
  std::int64_t steps = 50;
  std::optional<Spacing> spacing = {};  // else the sampler's usual one
  TimeGridOptions grid = {};            // but for the spacing
  SamplerSettings settings = {};
  double guidance = 1;  // 1: the classes or prompts as they are; 0: none
  double guidance_rescale = 0;
  // sigma / alpha, low to high, where samples are guided.
  std::optional<std::pair<double, double>> guidance_interval = {};
  // Class i of what sample i moves away from, in turn as `labels`; empty: no class.
  std::vector<std::int64_t> negative_labels = {};
  std::optional<Clip> clip = {};  // else the model's own (SampleSpec)
  std::uint64_t seed = 0;
  std::int64_t count = 1;
  std::vector<std::int64_t> labels = {};  // sample i has labels[i mod size]; empty: no class
  // Sample i is told prompts[i mod size], and moves away from negative_prompts[i mod size]; empty:
  // no text.
  std::vector<std::string> prompts = {}, negative_prompts = {};
  std::int64_t first_index = 0;  // the index of the first sample
  std::int64_t batch = 64;
  Device device = Device::cpu;  // the model's
  Drawing drawing = {};
};

// The sampler and the steps that a student was taught for, without guidance.
void use_as_taught(SampleRequest& request, const StudentConfig& student);

// What an observer of draw_samples sees: a batch's step, and where the batch is.
struct SamplingView {
  std::int64_t first, count;  // samples of this batch; of all
  const StepView& step;
};
using SamplingObserver = std::function<void(const SamplingView&)>;

// Samples at once: request.batch, or as many as there is memory for; an Error where there is none
// for one.
struct BatchPlan {
  std::int64_t batch;
  double bytes, wanted_bytes;  // of memory, about: with `batch`, with request.batch
};
BatchPlan plan_batches(const Model& model, const RunConfig& config, const SampleRequest& request);

// What a model's samples look like: themselves, or of latents what they decode to; on the host.
Tensor pictures_of(const RunConfig& config, const Tensor& samples);

// Gives images (n, H, W, C) float32, not clamped, on the host, batch by batch (plan_batches) to
// `sink`; latents decoded. Image i is a function of the weights, the request and (seed, first_index
// + i) alone, whatever the batch.
using SampleSink = std::function<void(const Tensor& images)>;
void draw_each(const Model& model, const RunConfig& config, const SampleRequest& request,
               const SampleSink& sink, const SamplingObserver& observer = {});
// All of them, (count, H, W, C).
Tensor draw_samples(const Model& model, const RunConfig& config, const SampleRequest& request,
                    const SamplingObserver& observer = {});

// That of sample i where `all` (classes, prompts) are given in turn.
template <class T>
const T& of_sample(const std::vector<T>& all, std::int64_t i) {
  return all[static_cast<std::size_t>(i) % all.size()];
}

// "0-9", "3,5,7-8", "all": class numbers in order. An Error unless all lie in [0, classes).
std::vector<std::int64_t> parse_classes(const std::string& text, std::int64_t classes);

}  // namespace ebb::apps
