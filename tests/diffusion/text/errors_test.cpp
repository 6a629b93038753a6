// What the networks of text and latents refuse, and what they say.
#include <doctest/doctest.h>
#include <ebb/diffusion/latent/autoencoder_kl.h>
#include <ebb/diffusion/text/text_to_image.h>

#include <functional>

namespace ebb::test {
namespace {

CLIPTextConfig small_clip() {
  return {.vocab_size = BpeTokenizer({}).vocab_size(),
          .hidden_size = 8,
          .intermediate_size = 16,
          .num_hidden_layers = 1,
          .num_attention_heads = 2,
          .max_position_embeddings = 6};
}

UNet2DConfig small_text_unet() { return unet2d_preset("tiny", 3, 0, 8); }

}  // namespace

TEST_CASE("text networks: what cannot be built says why") {
  PhiloxGenerator generator(0);
  const auto clip = [&](const char* words, const std::function<void(CLIPTextConfig&)>& change) {
    CLIPTextConfig config = small_clip();
    change(config);
    CHECK_THROWS_WITH_AS(CLIPTextModel(config, generator), doctest::Contains(words), Error);
  };
  clip("vocab_size", [](CLIPTextConfig& c) { c.vocab_size = 0; });
  clip("num_attention_heads", [](CLIPTextConfig& c) { c.num_attention_heads = 3; });
  clip("hidden_act", [](CLIPTextConfig& c) { c.hidden_act = "relu"; });
  clip("layer_norm_eps", [](CLIPTextConfig& c) { c.layer_norm_eps = 0; });
  const auto autoencoder = [&](const char* words,
                               const std::function<void(AutoencoderKLConfig&)>& change) {
    AutoencoderKLConfig config = autoencoder_preset("tiny", 3);
    change(config);
    CHECK_THROWS_WITH_AS(AutoencoderKL(config, generator), doctest::Contains(words), Error);
  };
  autoencoder("latent_channels", [](AutoencoderKLConfig& c) { c.latent_channels = 0; });
  autoencoder("norm_num_groups", [](AutoencoderKLConfig& c) { c.norm_num_groups = 5; });
  autoencoder("0 levels", [](AutoencoderKLConfig& c) { c.block_out_channels = {}; });
  autoencoder("scaling_factor", [](AutoencoderKLConfig& c) { c.scaling_factor = 0; });
  autoencoder("act_fn", [](AutoencoderKLConfig& c) { c.act_fn = "tanh"; });
  CHECK_THROWS_WITH_AS(autoencoder_preset("huge", 3), doctest::Contains("known are"), Error);
  const auto unet = [&](const char* words, const std::function<void(UNet2DConfig&)>& change) {
    UNet2DConfig config = small_text_unet();
    change(config);
    CHECK_THROWS_WITH_AS(UNet2D(config, generator), doctest::Contains(words), Error);
  };
  unet("position_embedding without a text", [](UNet2DConfig& c) { c.cross_attention_dim = 0; });
  unet("projection_class_embeddings_input_dim 8 without a text", [](UNet2DConfig& c) {
    c.cross_attention_dim = 0;
    c.position_embedding = false;
  });
  unet("without cross_attention_dim", [](UNet2DConfig& c) {
    c.cross_attention_dim = 0;
    c.position_embedding = false;
    c.projection_class_embeddings_input_dim = 0;
    c.down_block_types[0] = LevelType::cross_attention;
  });
  unet("beside cross_attention_dim",
       [](UNet2DConfig& c) { c.down_block_types[0] = LevelType::attention; });
  unet("number of heads", [](UNet2DConfig& c) { c.attention_head_dim = 5; });
  unet("transformer_layers_per_block", [](UNet2DConfig& c) { c.transformer_layers_per_block = 0; });
  const auto tokenizer = std::make_shared<const BpeTokenizer>(std::vector<BpeTokenizer::Merge>{});
  CLIPTextConfig more = small_clip();
  more.vocab_size += 1;
  CHECK_THROWS_WITH_AS(TextToImage(tokenizer, more, small_text_unet(), generator),
                       doctest::Contains("belong together"), Error);
  CHECK_THROWS_WITH_AS(
      TextToImage(tokenizer, small_clip(), unet2d_preset("tiny", 3, 0, 4), generator),
      doctest::Contains("cross_attention_dim 4"), Error);
}

TEST_CASE("text networks: inputs that do not fit say what would") {
  PhiloxGenerator generator(0);
  const CLIPTextModel clip(small_clip(), generator);
  const auto tokens = [](const Shape& shape) { return Tensor::zeros(shape, DType::int64); };
  CHECK(clip(tokens({2, 6})).shape() == Shape{2, 6, 8});
  CHECK_THROWS_WITH_AS(clip(tokens({2, 7})), doctest::Contains("L from 1 to 6"), Error);
  CHECK_THROWS_AS(clip(Tensor::full({1, 2}, 1e6, DType::int64)), Error);

  const AutoencoderKL autoencoder(autoencoder_preset("tiny", 3), generator);
  CHECK(autoencoder.encode(Tensor::zeros({1, 8, 12, 3})).mean.shape() == Shape{1, 2, 3, 4});
  CHECK_THROWS_WITH_AS(autoencoder.encode(Tensor::zeros({1, 8, 10, 3})),
                       doctest::Contains("multiples of 4"), Error);
  CHECK_THROWS_AS(autoencoder.decode(Tensor::zeros({1, 2, 2, 3})), Error);
  // The KL divergence of N(1, 4) from N(0, 1): (1 + 4 - 1 - log 4) / 2, an element.
  const DiagonalGaussian latents(
      Tensor::from<float>({1, 1, std::log(4.F), std::log(4.F)}).reshape({1, 4}));
  CHECK(latents.kl().value().item() == doctest::Approx(4 - std::log(4.0)));
  CHECK(latents.sample(Tensor::full({1, 2}, 3)).value().to_vector<float>()[0] ==
        doctest::Approx(7));

  const UNet2D unet(small_text_unet(), generator);
  const Tensor x = Tensor::zeros({2, 8, 8, 3}), t = Tensor::zeros({2});
  Conditioning text;
  text.text_states = Tensor::zeros({2, 3, 8});
  CHECK_THROWS_WITH_AS(unet(x, t, text), doctest::Contains("nothing as the text in one vector"),
                       Error);
  text.text_pooled = Tensor::zeros({2, 7});
  CHECK_THROWS_WITH_AS(unet(x, t, text), doctest::Contains("(2, 7) as the text in one vector"),
                       Error);
  text.text_pooled = Tensor::zeros({2, 8});
  CHECK(unet(x, t, text).shape() == x.shape());
  CHECK_THROWS_WITH_AS(unet(x, t, Conditioning()), doctest::Contains("no text was given"), Error);
  text.text_states = Tensor::zeros({2, 3, 7});
  CHECK_THROWS_WITH_AS(unet(x, t, text), doctest::Contains("(2, L, 8)"), Error);
  const UNet2D plain(unet2d_preset("tiny", 3, 0), generator);
  CHECK_THROWS_WITH_AS(plain(x, t, text), doctest::Contains("knows nothing"), Error);
  CHECK_THROWS_WITH_AS(plain.told({"x"}), doctest::Contains("without captions"), Error);
}

TEST_CASE(
    "text networks: a state knows nothing of the tokens after it, a caption nothing of others") {
  PhiloxGenerator generator(0);
  const TextToImage model(std::make_shared<const BpeTokenizer>(std::vector<BpeTokenizer::Merge>{}),
                          small_clip(), small_text_unet(), generator);
  const Conditioning both = model.prepared(model.told({"ab", "ax"}));
  const Tensor states = both.text_states;  // start, a, b or x, ...
  const auto row = [&](std::int64_t n, std::int64_t l) {
    return slice(slice(states, 0, n, n + 1), 1, l, l + 1).to_vector<float>();
  };
  CHECK(row(0, 1) == row(1, 1));
  CHECK(row(0, 2) != row(1, 2));
  const Conditioning alone = model.prepared(model.told({"ax"}));
  CHECK(alone.text_states.to_vector<float>() == both.rows(1, 2).text_states.to_vector<float>());
  CHECK(model.null_conditioning(2).text_tokens.to_vector<std::int64_t>() ==
        model.told({"", ""}).text_tokens.to_vector<std::int64_t>());
}

}  // namespace ebb::test
