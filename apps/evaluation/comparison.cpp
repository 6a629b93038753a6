#include <ebb/apps/evaluation/comparison.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/images/text.h>
#include <ebb/tensor/ops/layout.h>

#include <algorithm>

namespace ebb::apps {
namespace {

// `inner` on white with its top left corner at (row, column).
Image with_margin(const Image& inner, std::int64_t row, std::int64_t column) {
  Image image{inner.height + row, inner.width + column, inner.channels, {}};
  image.pixels.assign(static_cast<std::size_t>(image.height * image.width * image.channels), 255);
  for (std::int64_t y = 0; y < inner.height; ++y)
    std::copy_n(inner.pixels.data() + y * inner.width * inner.channels,
                inner.width * inner.channels,
                image.pixels.data() + ((y + row) * image.width + column) * image.channels);
  return image;
}

}  // namespace

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

  constexpr std::int64_t gap = 2, scale = 2, text = 2;
  const auto columns = static_cast<std::int64_t>(request.steps.size()) * request.count;
  const Image grid = make_grid(clip_x0(cat(rows, 0), {Clip::Kind::range}),
                               {.columns = columns, .scale = scale, .gap = gap});
  std::int64_t left = 0;
  for (const SamplerInfo& sampler : samplers())
    left = std::max(left, text_width(sampler.name, text) + 2 * gap);
  const std::int64_t top = text_height(text) + 2 * gap;
  Image image = with_margin(grid, top, left);
  const std::int64_t cell_height = (config.image.height + gap) * scale;
  const std::int64_t cell_width = (config.image.width + gap) * scale;
  for (std::size_t i = 0; i < samplers().size(); ++i)
    draw_text(image,
              top + static_cast<std::int64_t>(i) * cell_height +
                  (config.image.height * scale - text_height(text)) / 2,
              gap, samplers()[i].name, text);
  for (std::size_t i = 0; i < request.steps.size(); ++i)
    draw_text(image, gap, left + static_cast<std::int64_t>(i) * request.count * cell_width,
              fmt::format("{} steps", request.steps[i]), text);
  return image;
}

}  // namespace ebb::apps
