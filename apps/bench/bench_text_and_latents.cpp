// A training step of each network that Hugging Face's libraries have too: the U-Net of latents with
// the text encoder that it learns with, the text encoder alone, and the autoencoder.
#include <ebb/apps/bench/bench.h>
#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/clip_text_json.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/losses/autoencoder_objective.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/text/text_to_image.h>

namespace ebb::apps {
namespace {

constexpr std::int64_t text_length = 16;

CLIPTextConfig small_text() {
  return {.vocab_size = BpeTokenizer({}).vocab_size(),
          .hidden_size = 64,
          .intermediate_size = 256,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .max_position_embeddings = text_length};
}

UNet2DConfig latent_unet(const Shape& x) {
  UNet2DConfig config = unet2d_preset("small", x[3], 0, small_text().hidden_size);
  config.patch_size = 1;
  config.position_embedding = false;  // diffusers has none
  config.in_channels = config.out_channels = x[3];
  return config;
}

// Steps of `loss` by a trainer, on one batch; `network` lives as long.
template <class Network>
std::function<void()> steps_of(std::shared_ptr<Network> network, LossFunction loss, Batch batch) {
  const auto trainer =
      std::make_shared<Trainer>(named_parameters(*network), std::move(loss), TrainingConfig{});
  return [network, trainer, batch = std::move(batch)] { trainer->step(batch, 0.5); };
}

Tensor some_tokens(std::int64_t count) {
  return philox_integers({count, text_length}, 0, small_text().vocab_size, {});
}

std::function<void()> text_to_image_step(const Shape& x) {
  PhiloxGenerator generator(0);
  const auto model = std::make_shared<TextToImage>(
      std::make_shared<const BpeTokenizer>(std::vector<BpeTokenizer::Merge>{}), small_text(),
      latent_unet(x), generator);
  Batch batch{philox_normal(x, {}), {}};
  batch.conditioning.text_tokens = some_tokens(x[0]);
  const Path path = Path::discrete(alphas_cumprod(cosine_betas(1000)));
  return steps_of(model, diffusion_objective(*model, path), batch);
}

std::function<void()> text_encoder_step(std::int64_t count) {
  PhiloxGenerator generator(0);
  const auto model = std::make_shared<CLIPTextModel>(small_text(), generator);
  const auto loss = [model](const Batch& batch, const StepDraws&) {
    return mean(square((*model)(batch.conditioning.text_tokens)));
  };
  Batch batch;
  batch.images = Tensor::zeros({count});
  batch.conditioning.text_tokens = some_tokens(count);
  return steps_of(model, loss, batch);
}

std::function<void()> autoencoder_step(const Shape& x) {
  PhiloxGenerator generator(0);
  const auto model = std::make_shared<AutoencoderKL>(autoencoder_preset("small", x[3]), generator);
  return steps_of(model, autoencoder_objective(*model), {philox_normal(x, {}), {}});
}

}  // namespace

std::vector<BenchCase> bench_text_and_latents() {
  const Shape latents{64, 16, 16, 4}, images{8, 64, 64, 3};
  const nlohmann::json text = clip_text_config_to_json(small_text());
  const auto name = [](const char* what, const Shape& x) {
    return fmt::format("{} step {}", what, fmt::join(x.vector(), "x"));
  };
  return {{name("text to image", latents),
           {{"op", "text_to_image"},
            {"x", latents.vector()},
            {"text", text},
            {"config", unet2d_config_to_json(latent_unet(latents))}},
           0,
           0,
           [=] { return text_to_image_step(latents); }},
          {name("CLIP text encoder", {64, text_length}),
           {{"op", "text_encoder"}, {"x", {64, text_length}}, {"text", text}},
           0,
           0,
           [] { return text_encoder_step(64); }},
          {name("AutoencoderKL", images),
           {{"op", "autoencoder"},
            {"x", images.vector()},
            {"config", autoencoder_config_to_json(autoencoder_preset("small", images[3]))}},
           0,
           0,
           [=] { return autoencoder_step(images); }}};
}

}  // namespace ebb::apps
