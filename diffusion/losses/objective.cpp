#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/schedules/training_times.h>

namespace ebb {

LossFunction diffusion_objective(const Model& model, const Path& path,
                                 const ObjectiveConfig& config) {
  check(config.label_dropout >= 0 && config.label_dropout <= 1,
        "objective: label_dropout is {}; it must lie in [0, 1]", config.label_dropout);
  return [&model, path, config](const Batch& batch, const StepDraws& draws) {
    const Tensor x0 = config.flip ? flip_half(batch.images, draws) : batch.images;
    const std::int64_t count = x0.size(0);
    const Tensor u = philox_uniform({count}, draws.address(Purpose::timestep), DType::float64);
    const Tensor even = config.stratified ? stratified(u, draws.first_sample, draws.batch_size) : u;
    const Tensor t = uniform_times(
        path, config.times == TrainingTimes::logit_normal ? logit_normal(even) : even);
    const std::vector<Level> levels = levels_of("objective", path, x0, t);
    const Tensor eps =
        philox_normal(x0.shape(), draws.address(Purpose::noise), DType::float32, x0.device());
    Conditioning given = model.understood(batch.conditioning);
    if (!given.empty() && config.label_dropout > 0)
      given = drop_conditioning(
          given, model.null_conditioning(count, x0.device()),
          philox_uniform({count}, draws.address(Purpose::label_drop), DType::float32, x0.device()),
          config.label_dropout);
    const Variable output =
        model(add_noise(levels, x0, eps), t.to(DType::float32).to(x0.device()), given);
    const Tensor target = prediction_target(config.prediction, levels, x0, eps);
    if (config.weight.kind == LossWeight::Kind::simple) return weighted_mse(output, target);
    return weighted_mse(output, target, loss_weights(config.weight, config.prediction, levels));
  };
}

}  // namespace ebb
