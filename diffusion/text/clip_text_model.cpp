#include <ebb/autograd/ops.h>
#include <ebb/diffusion/text/clip_text_model.h>
#include <ebb/nn/layers/init.h>

namespace ebb {

void check_config(const CLIPTextConfig& c) {
  const auto at_least_1 = [](std::string_view option, std::int64_t value) {
    check(value >= 1, "CLIPTextModel: {} is {}; it must be at least 1", option, value);
  };
  at_least_1("vocab_size", c.vocab_size);
  at_least_1("hidden_size", c.hidden_size);
  at_least_1("intermediate_size", c.intermediate_size);
  at_least_1("num_hidden_layers", c.num_hidden_layers);
  at_least_1("num_attention_heads", c.num_attention_heads);
  at_least_1("max_position_embeddings", c.max_position_embeddings);
  check(c.hidden_size % c.num_attention_heads == 0,
        "CLIPTextModel: hidden_size {} is no multiple of num_attention_heads {}; change one",
        c.hidden_size, c.num_attention_heads);
  check(c.hidden_act == "quick_gelu" || c.hidden_act == "gelu",
        "CLIPTextModel: hidden_act '{}' is unknown; allowed: quick_gelu, gelu", c.hidden_act);
  check(c.layer_norm_eps > 0, "CLIPTextModel: layer_norm_eps is {}; it must be above 0",
        c.layer_norm_eps);
}

CLIPEncoderLayer::CLIPEncoderLayer(const CLIPTextConfig& c, Generator& generator)
    : q_proj({.in = c.hidden_size, .out = c.hidden_size}, generator),
      k_proj({.in = c.hidden_size, .out = c.hidden_size}, generator),
      v_proj({.in = c.hidden_size, .out = c.hidden_size}, generator),
      out_proj({.in = c.hidden_size, .out = c.hidden_size}, generator),
      layer_norm1({.shape = {c.hidden_size}, .eps = c.layer_norm_eps}),
      layer_norm2({.shape = {c.hidden_size}, .eps = c.layer_norm_eps}),
      fc1({.in = c.hidden_size, .out = c.intermediate_size}, generator),
      fc2({.in = c.intermediate_size, .out = c.hidden_size}, generator),
      heads_(c.num_attention_heads),
      quick_(c.hidden_act == "quick_gelu") {}

Variable CLIPEncoderLayer::operator()(Variable x) const {
  const std::int64_t n = x.size(0), l = x.size(1), width = x.size(2);
  const Variable h = layer_norm1(x);
  const auto heads = [&](const Linear& project) {  // (N, heads, L, d)
    return permute(reshape(project(h), {n, l, heads_, width / heads_}), {0, 2, 1, 3});
  };
  const Variable attended =
      scaled_dot_product_attention(heads(q_proj), heads(k_proj), heads(v_proj), {.causal = true});
  x = x + out_proj(reshape(permute(attended, {0, 2, 1, 3}), {n, l, width}));
  const Variable inner = fc1(layer_norm2(x));
  // quick_gelu: x sigmoid(1.702 x), Hendrycks & Gimpel 2016, section 2.
  return x + fc2(quick_ ? inner * sigmoid(1.702 * inner) : gelu(inner));
}

void CLIPEncoderLayer::visit(Visitor& v) {
  v("self_attn.k_proj", k_proj);
  v("self_attn.v_proj", v_proj);
  v("self_attn.q_proj", q_proj);
  v("self_attn.out_proj", out_proj);
  v("layer_norm1", layer_norm1);
  v("mlp.fc1", fc1);
  v("mlp.fc2", fc2);
  v("layer_norm2", layer_norm2);
}

namespace {

const CLIPTextConfig& checked_text(const CLIPTextConfig& config) {
  check_config(config);
  return config;
}

Embedding scaled_embedding(std::int64_t count, std::int64_t width, double std,
                           Generator& generator) {
  Embedding embedding({.count = count, .width = width}, generator);
  embedding.weight.set_value(mul(embedding.weight.value(), std));
  return embedding;
}

}  // namespace

CLIPTextModel::CLIPTextModel(const CLIPTextConfig& config, Generator& generator)
    : config_(checked_text(config)),
      token_embedding_(scaled_embedding(config.vocab_size, config.hidden_size, 1, generator)),
      position_embedding_(
          scaled_embedding(config.max_position_embeddings, config.hidden_size, 0.5, generator)),
      final_layer_norm_({.shape = {config.hidden_size}, .eps = config.layer_norm_eps}) {
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(config, generator);
}

Variable CLIPTextModel::operator()(const Tensor& tokens) const {
  check(tokens.rank() == 2 && tokens.size(1) >= 1 &&
            tokens.size(1) <= config_.max_position_embeddings,
        "CLIPTextModel: tokens {}; (N, L) with L from 1 to {} is needed", tokens.shape(),
        config_.max_position_embeddings);
  Variable x = token_embedding_(tokens) + slice(position_embedding_.weight, 0, 0, tokens.size(1));
  for (const CLIPEncoderLayer& layer : layers_) x = layer(x);
  return final_layer_norm_(x);
}

void CLIPTextModel::visit(Visitor& v) {
  v("text_model.embeddings.token_embedding", token_embedding_);
  v("text_model.embeddings.position_embedding", position_embedding_);
  v("text_model.encoder.layers", layers_);
  v("text_model.final_layer_norm", final_layer_norm_);
}

}  // namespace ebb
