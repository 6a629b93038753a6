#include <ebb/autograd/ops.h>
#include <ebb/diffusion/text/text_to_image.h>

namespace ebb {
namespace {

const CLIPTextConfig& fitting(const BpeTokenizer& tokenizer, const CLIPTextConfig& text,
                              const UNet2DConfig& unet) {
  check(
      text.vocab_size == tokenizer.vocab_size(),
      "TextToImage: a text encoder of {} tokens and a tokenizer of {}; they do not belong together",
      text.vocab_size, tokenizer.vocab_size());
  check(text.hidden_size == unet.cross_attention_dim,
        "TextToImage: states of width {} for a U-Net with cross_attention_dim {}; make them equal",
        text.hidden_size, unet.cross_attention_dim);
  return text;
}

}  // namespace

TextToImage::TextToImage(std::shared_ptr<const BpeTokenizer> tokenizer, const CLIPTextConfig& text,
                         const UNet2DConfig& unet, Generator& generator)
    : tokenizer_(std::move(tokenizer)),
      text_encoder_(fitting(*tokenizer_, text, unet), generator),
      unet_(unet, generator) {
  unet_.zero_last_layers();
}

Variable TextToImage::operator()(const Variable& x, const Tensor& t,
                                 const Conditioning& given) const {
  given.check_for("TextToImage", x.size(0), {"labels", "text_tokens", "text_states"});
  Conditioning classes;
  classes.labels = given.labels;
  return unet_(x, t, classes, context(given, x.size(0), x.device()));
}

TextContext TextToImage::context(const Conditioning& given, std::int64_t count,
                                 Device device) const {
  TextContext text;
  if (given.text_states.defined())
    text.states = given.text_states;
  else
    text.states =
        text_encoder_(given.text_tokens.defined() ? given.text_tokens
                                                  : null_conditioning(count, device).text_tokens);
  // The last token is the end of the text, or stands after it: it has seen all.
  if (unet_.config().projection_class_embeddings_input_dim > 0)
    text.pooled = select(text.states, 1, -1);
  return text;
}

void TextToImage::visit(Visitor& v) {
  v("text_encoder", text_encoder_);
  v("unet", unet_);
}

Conditioning TextToImage::understood(const Conditioning& all) const {
  Conditioning known = Model::understood(all);
  known.text_tokens = all.text_tokens;
  return known;
}

Conditioning TextToImage::null_conditioning(std::int64_t count, Device device) const {
  Conditioning nothing =
      num_classes() > 0 ? Model::null_conditioning(count, device) : Conditioning();
  nothing.text_tokens =
      told(std::vector<std::string>(static_cast<std::size_t>(count))).text_tokens.to(device);
  return nothing;
}

Conditioning TextToImage::told(const std::vector<std::string>& captions) const {
  Conditioning result;
  result.text_tokens =
      tokenizer_->encode_all(captions, text_encoder_.config().max_position_embeddings);
  return result;
}

Conditioning TextToImage::prepared(const Conditioning& given) const {
  if (!given.text_tokens.defined()) return given;
  const NoGrad no_grad;
  Conditioning result = given;
  result.text_states = text_encoder_(given.text_tokens).value();
  result.text_tokens = Tensor();
  return result;
}

}  // namespace ebb
