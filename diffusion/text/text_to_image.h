// TextToImage: a caption's tokens, a text encoder, and a U-Net that attends to its states (Rombach
// et al. 2022, section 3.3), trained together.
#pragma once

#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/text/bpe_tokenizer.h>
#include <ebb/diffusion/text/clip_text_model.h>

#include <memory>
#include <string>
#include <vector>

namespace ebb {

// Of max_position_embeddings tokens, start and end included. vocab_size is the tokenizer's, and the
// U-Net's cross_attention_dim hidden_size; else Error.
class TextToImage final : public Model {
 public:
  TextToImage(std::shared_ptr<const BpeTokenizer> tokenizer, const CLIPTextConfig& text,
              const UNet2DConfig& unet, Generator& generator);

  // `given` has text_tokens (N, L) or, as prepared() gives them, text_states; neither means the
  // empty text. Labels where the U-Net has classes.
  Variable operator()(const Variable& x, const Tensor& t, const Conditioning& given) const override;
  // What the U-Net is told of `count` images.
  TextContext context(const Conditioning& given, std::int64_t count, Device device) const;
  // "unet.*" and "text_encoder.*".
  void visit(Visitor& visitor) override;

  std::int64_t num_classes() const override { return unet_.num_classes(); }
  // The empty text.
  bool has_null_class() const override { return true; }
  Conditioning understood(const Conditioning& all) const override;
  Conditioning null_conditioning(std::int64_t count, Device device = Device::cpu) const override;
  Conditioning told(const std::vector<std::string>& captions) const override;
  Conditioning prepared(const Conditioning& given) const override;

  const BpeTokenizer& tokenizer() const { return *tokenizer_; }
  CLIPTextModel& text_encoder() { return text_encoder_; }
  UNet2D& unet() { return unet_; }

 private:
  std::shared_ptr<const BpeTokenizer> tokenizer_;
  CLIPTextModel text_encoder_;
  UNet2D unet_;
};

}  // namespace ebb
