// The text encoder of CLIP (Radford et al. 2021, section 2.4) as Hugging Face's CLIPTextModel
// builds it, with its parameter names, so that weights go both ways: a transformer that looks back
// only, its layers normalised before (Xiong et al. 2020), over tokens and their positions.
#pragma once

#include <ebb/nn/layers/layers.h>

#include <string>
#include <vector>

namespace ebb {

struct CLIPTextConfig {  // names of Hugging Face's
  std::int64_t vocab_size = 49408;
  std::int64_t hidden_size = 512, intermediate_size = 2048;
  std::int64_t num_hidden_layers = 12, num_attention_heads = 8;
  std::int64_t max_position_embeddings = 77;
  std::string hidden_act = "quick_gelu";  // or gelu
  double layer_norm_eps = 1e-5;
};
// An Error that names the option and what is allowed.
void check_config(const CLIPTextConfig& config);

// x + attention(norm(x)), + feed forward(norm(x)).
struct CLIPEncoderLayer {
  CLIPEncoderLayer(const CLIPTextConfig& config, Generator& generator);
  // x (N, L, hidden_size).
  Variable operator()(Variable x) const;
  void visit(Visitor& v);

  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm layer_norm1, layer_norm2;
  Linear fc1, fc2;

 private:
  std::int64_t heads_;
  bool quick_;
};

class CLIPTextModel {
 public:
  // Parameters are drawn from `generator`: embeddings N(0, 1), positions N(0, 0.25), the layers
  // as PyTorch initialises its own: small networks learn sooner what a word is than by the 0.02 of
  // large ones. An Error if check_config(config) is one.
  CLIPTextModel(const CLIPTextConfig& config, Generator& generator);

  // Tokens (N, L) int64 in [0, vocab_size), L at most max_position_embeddings, to the states after
  // the last normalisation (last_hidden_state), (N, L, hidden_size). State l is a function of
  // tokens 0 ... l alone.
  Variable operator()(const Tensor& tokens) const;
  void visit(Visitor& v);
  const CLIPTextConfig& config() const { return config_; }

 private:
  CLIPTextConfig config_;
  Embedding token_embedding_, position_embedding_;
  std::vector<CLIPEncoderLayer> layers_;
  LayerNorm final_layer_norm_;
};

}  // namespace ebb
