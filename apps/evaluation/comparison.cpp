#include <ebb/apps/evaluation/comparison.h>
#include <ebb/apps/images/labelled_grid.h>
#include <ebb/tensor/ops/layout.h>

namespace ebb::apps {
Image compare_samplers(const Model& model, const RunConfig& config,
                       const ComparisonRequest& request,
                       const std::function<void(double fraction)>& done) {
  const double cells = static_cast<double>(samplers().size() * request.steps.size());
  std::vector<Tensor> rows;
  double finished = 0;
  for (const SamplerInfo& sampler : samplers())
    for (const std::int64_t steps : request.steps) {
      SampleRequest sample;
      sample.sampler = sampler.name;
      sample.steps = steps;
      sample.guidance = request.guidance;
      sample.seed = request.seed;
      sample.count = request.count;
      sample.labels = request.labels;
      rows.push_back(draw_samples(model, config, sample));
      if (done) done(++finished / cells);
    }

  GridLabels labels{.span = request.count};
  for (const SamplerInfo& sampler : samplers()) labels.rows.emplace_back(sampler.name);
  for (const std::int64_t steps : request.steps)
    labels.columns.push_back(fmt::format("{} steps", steps));
  return labelled_grid(clip_x0(cat(rows, 0), {Clip::Kind::range}),
                       static_cast<std::int64_t>(request.steps.size()) * request.count, 2, labels);
}

}  // namespace ebb::apps
