#include <ebb/autograd/ops.h>
#include <ebb/diffusion/losses/autoencoder_objective.h>

namespace ebb {

LossFunction autoencoder_objective(const AutoencoderKL& model, const AutoencoderObjective& config) {
  check(config.kl_weight >= 0, "objective: kl_weight is {}; it must be at least 0",
        config.kl_weight);
  return [&model, config](const Batch& batch, const StepDraws& draws) {
    const Tensor x = config.flip ? flip_half(batch.images, draws) : batch.images;
    const DiagonalGaussian latents = model.encode(x);
    const Tensor eps = philox_normal(latents.mean.shape(), draws.address(Purpose::noise),
                                     DType::float32, x.device());
    const Variable error = mse_loss(model.decode(latents.sample(eps)), x);
    const double elements =
        static_cast<double>(latents.mean.numel()) / static_cast<double>(x.size(0));
    return error + config.kl_weight / elements * mean(latents.kl());
  };
}

}  // namespace ebb
