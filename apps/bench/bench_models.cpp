// Whole networks: the tutorial's U-Net as the notebook has it, and UNet2D as it is trained.
#include <ebb/apps/bench/bench.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/weight_cache.h>

namespace ebb::apps {
namespace {

using Work = std::function<void()>;

std::shared_ptr<SimpleUNet> tutorial_model() {
  PhiloxGenerator generator(0);
  return std::make_shared<SimpleUNet>(TutorialUNetOptions{}, generator);
}

Tensor times(std::int64_t n) { return Tensor::full({n}, 100); }

Predictor predictor(std::shared_ptr<Model> model) {
  return [model, cache = std::make_shared<WeightCache>()](const Tensor& x, const Level& level) {
    const NoGrad no_grad;
    const WeightCache::Scope scope(*cache);
    return (*model)(x, times_of(level, x), {}).value();
  };
}

Work tutorial_step(const Shape& shape) {
  const auto model = tutorial_model();
  const auto adam = std::make_shared<Adam>(named_parameters(*model), Adam::Options{});
  return [=, x = philox_normal(shape, {}), noise = philox_normal(shape, {1}), t = times(shape[0])] {
    mse_loss((*model)(x, t), noise).backward();
    adam->step();
    adam->zero_grad();
  };
}

Work tutorial_forward(const Shape& shape) {
  return [predict = predictor(tutorial_model()), x = philox_normal(shape, {})] {
    predict(x, {.t = 100});
  };
}

Work tutorial_sampling(const Shape& shape, std::int64_t steps) {
  const Path path = Path::discrete(alphas_cumprod(linear_betas(200)));
  const Sampling sampling{make_denoiser(predictor(tutorial_model()), Prediction::epsilon),
                          path,
                          make_grid(path, steps),
                          philox_noise(0),
                          {}};
  return [=, start = start_noise(path, shape, 0)] { ddpm(sampling, start); };
}

void add_tutorial(std::vector<BenchCase>& cases) {
  // Multiplications and additions of the four 3x3 layers, at each pixel.
  constexpr double layers = 2 * 9 * (3 * 64 + 64 * 128 + 128 * 64 + 64 * 3);
  const auto add = [&](const char* what, const Shape& x, double flops_a_pixel,
                       std::function<Work()> prepare, std::int64_t steps = 1) {
    const auto pixels = static_cast<double>(x[0] * x[1] * x[2]);
    cases.push_back({fmt::format("tutorial {} {}", what, fmt::join(x.vector(), "x")),
                     {{"op", "tutorial"}, {"pass", what}, {"x", x.vector()}, {"steps", steps}},
                     flops_a_pixel * pixels * static_cast<double>(steps),
                     0,
                     std::move(prepare)});
  };
  const Shape batch{16, 64, 64, 3}, image{1, 64, 64, 3}, few{4, 64, 64, 3};
  // Nobody wants the gradient by the image.
  add("step", batch, 3 * layers - 2 * 9 * 3 * 64, [=] { return tutorial_step(batch); });
  add("forward", batch, layers, [=] { return tutorial_forward(batch); });
  add("forward", image, layers, [=] { return tutorial_forward(image); });
  add(
      "sampling", few, layers, [=] { return tutorial_sampling(few, 20); }, 20);
}

Work unet2d_step(const std::string& preset, const Shape& shape, std::int64_t classes) {
  PhiloxGenerator generator(0);
  const auto model = std::make_shared<UNet2D>(unet2d_preset(preset, shape[3], classes), generator);
  const Path path = Path::discrete(alphas_cumprod(cosine_betas(1000)));
  const auto trainer = std::make_shared<Trainer>(
      named_parameters(*model), diffusion_objective(*model, path), TrainingConfig{});
  const Batch batch{philox_normal(shape, {}), philox_integers({shape[0]}, 0, classes, {})};
  return [=] {
    static_cast<void>(model);
    trainer->step(batch, 0.5);
  };
}

void add_unet2d(std::vector<BenchCase>& cases, const std::string& preset, const Shape& shape) {
  constexpr std::int64_t classes = 10;
  cases.push_back({fmt::format("UNet2D {} step {}", preset, fmt::join(shape.vector(), "x")),
                   {{"op", "unet2d"},
                    {"x", shape.vector()},
                    {"config", unet2d_config_to_json(unet2d_preset(preset, shape[3], classes))}},
                   0,
                   0,
                   [=] { return unet2d_step(preset, shape, classes); }});
}

}  // namespace

std::vector<BenchCase> bench_models() {
  std::vector<BenchCase> cases;
  add_tutorial(cases);
  add_unet2d(cases, "small", {64, 28, 28, 1});
  add_unet2d(cases, "medium", {16, 32, 32, 3});
  return cases;
}

}  // namespace ebb::apps
