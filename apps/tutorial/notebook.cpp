#include <ebb/apps/tutorial/notebook.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/weight_cache.h>

namespace ebb::apps::notebook {
namespace {

Tensor draw_images(Generator& generator, std::int64_t count) {
  return nchw_to_nhwc(generator.randn({count, 3, image_size, image_size}));
}

}  // namespace

Path path() { return Path::discrete(alphas_cumprod(linear_betas(timesteps))); }

std::vector<Tensor> noised_squares(const Path& path, const std::vector<std::int64_t>& times,
                                   Generator& generator) {
  const std::int64_t border = image_size / 4, side = image_size - 2 * border;
  const Tensor square =
      pad(Tensor::ones({1, side, side, 3}), {0, 0, border, border, border, border});
  std::vector<Tensor> result;
  for (const std::int64_t t : times)
    result.push_back(
        add_noise(path, square, draw_images(generator, 1), Tensor::from(std::vector{t})));
  return result;
}

TrainingCell training_cell(const Model& model, const Path& path, Generator& generator,
                           Device device) {
  const Tensor x0 = draw_images(generator, batch).to(device);
  const Tensor t = generator.randint(0, timesteps, {batch});
  const Tensor noise = draw_images(generator, batch).to(device);
  const Tensor x_t = add_noise(path, x0, noise, t);
  const Variable prediction = model(x_t, t.to(DType::float32).to(device), {});
  return {t, x_t, noise, prediction, weighted_mse(prediction, noise)};
}

Denoiser denoiser_of(const Model& model) {
  return make_denoiser(
      [&model](const Tensor& x, const Level& level) {
        const NoGrad no_grad;
        return model(x, times_of(level, x), {}).value();
      },
      Prediction::epsilon);
}

Tensor ddpm_cell(const Model& model, const Path& path, Generator& generator,
                 const Observer& observer, Device device) {
  WeightCache weights;
  const WeightCache::Scope scope(weights);
  const Tensor start = draw_images(generator, batch).to(device);
  return ddpm({denoiser_of(model), path, make_grid(path, timesteps),
               generator_noise(generator, /*channels_first=*/true), observer},
              start);
}

Tensor ddim_cell(const Model& model, const Path& path, const Tensor& start, std::int64_t steps) {
  WeightCache weights;
  const WeightCache::Scope scope(weights);
  const TimeGrid grid = grid_of_times(path, leading_times(path.steps(), steps), path.clean());
  return ddim({denoiser_of(model), path, grid, {}, {}}, start);
}

GuidanceCell guidance_cell(const Model& model, double scale, Generator& generator, Device device) {
  const NoGrad no_grad;
  const Tensor x = draw_images(generator, 2).to(device);
  const Tensor t = Tensor::from(std::vector<float>{50, 100}).to(device);
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{3, 7}).to(device);
  const Tensor positive = model(x, t, labels).value(), negative = model(x, t, {}).value();
  return {x, positive, negative, guide(negative, positive, scale)};
}

}  // namespace ebb::apps::notebook
