#include <ebb/diffusion/guidance.h>
#include <ebb/diffusion/objective.h>

namespace ebb {

namespace {

// float64 (count).
Tensor times(const Path& path, std::int64_t count, bool stratified, const StepDraws& draws) {
  std::vector<double> t =
      philox_uniform({count}, draws.address(Purpose::timestep), DType::float64).to_vector<double>();
  for (std::int64_t i = 0; i < count; ++i) {
    double& u = t[static_cast<std::size_t>(i)];
    if (stratified)
      u = (static_cast<double>(draws.first_sample + i) + u) / static_cast<double>(draws.batch_size);
    u = path.t_data() + u * (path.t_noise() - path.t_data());
  }
  return Tensor::from(t);
}

}  // namespace

LossFunction diffusion_objective(const Model& model, const Path& path,
                                 const ObjectiveConfig& config) {
  check(config.label_dropout >= 0 && config.label_dropout <= 1,
        "objective: label_dropout is {}; it must lie in [0, 1]", config.label_dropout);
  return [&model, path, config](const Batch& batch, const StepDraws& draws) {
    const Tensor x0 = config.flip ? flip_half(batch.images, draws) : batch.images;
    const std::int64_t count = x0.size(0);
    const Tensor t = times(path, count, config.stratified, draws);
    const Tensor eps = philox_normal(x0.shape(), draws.address(Purpose::noise)).to(x0.device());
    Tensor labels;
    if (model.num_classes() > 0 && batch.labels.defined())
      labels =
          drop_labels(batch.labels, philox_uniform({count}, draws.address(Purpose::label_drop)),
                      config.label_dropout, model.num_classes());
    const Variable output =
        model(add_noise(path, x0, eps, t), t.to(DType::float32).to(x0.device()), labels);
    return weighted_mse(output, prediction_target(config.prediction, path, x0, eps, t));
  };
}

}  // namespace ebb
