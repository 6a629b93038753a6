// Where a network looks for the words that it is told.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/text/word_maps.h>

#include "tests/capture.h"

namespace ebb::test {
namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  return philox_normal(shape, {seed, Purpose::other});
}

TextToImage small_model() {
  PhiloxGenerator generator(3);
  auto tokenizer =
      std::make_shared<const BpeTokenizer>(BpeTokenizer::train({"red blue", "red blue"}));
  const CLIPTextConfig text{.vocab_size = tokenizer->vocab_size(),
                            .hidden_size = 8,
                            .intermediate_size = 16,
                            .num_hidden_layers = 1,
                            .num_attention_heads = 2,
                            .max_position_embeddings = 5};
  UNet2DConfig unet = unet2d_preset("small", 3, 0, 8);
  unet.block_out_channels = {8, 16};
  return {tokenizer, text, unet, generator};
}

}  // namespace

TEST_CASE("word maps: shares of attention") {
  TextToImage model = small_model();
  const Tensor x = normal({2, 8, 12, 3}, 5), t = Tensor::from<float>({3, 700});
  const Tensor maps = word_maps(model, x, t, model.told({"red blue", "blue"}).text_tokens);
  CHECK(maps.shape() == Shape{2, 2, 3, 5});
  for (const float total : sum(maps, {3}).to_vector<float>()) CHECK(total == doctest::Approx(1));
}

}  // namespace ebb::test
