#include <ebb/apps/exchange/clip_text_json.h>
#include <ebb/apps/exchange/pretrained.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/apps/system/memory.h>

namespace ebb::apps {

using nlohmann::json;

namespace {

constexpr const char* clip_text_name = "CLIPTextModel config";
constexpr std::string_view clip_text_prefix = "text_model.";

}  // namespace

CLIPTextConfig clip_text_config_from_json(const json& j) {
  const JsonReader r(j, std::string(clip_text_name) + ": ");
  check_only(clip_text_name, j, "model_type", "clip_text_model");
  constexpr std::int64_t most = 65536;
  const CLIPTextConfig d;
  CLIPTextConfig c;
  c.vocab_size = r.integer("vocab_size", 1, 1 << 24, d.vocab_size);
  c.hidden_size = r.integer("hidden_size", 1, most, d.hidden_size);
  c.intermediate_size = r.integer("intermediate_size", 1, most, d.intermediate_size);
  c.num_hidden_layers = r.integer("num_hidden_layers", 1, 256, d.num_hidden_layers);
  c.num_attention_heads = r.integer("num_attention_heads", 1, most, d.num_attention_heads);
  c.max_position_embeddings =
      r.integer("max_position_embeddings", 1, most, d.max_position_embeddings);
  c.hidden_act = r.text("hidden_act", d.hidden_act);
  c.layer_norm_eps = r.number("layer_norm_eps", 0, 1, d.layer_norm_eps);
  check_config(c);
  return c;
}

json clip_text_config_to_json(const CLIPTextConfig& c) {
  return {{"architectures", {"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"vocab_size", c.vocab_size},
          {"hidden_size", c.hidden_size},
          {"intermediate_size", c.intermediate_size},
          {"projection_dim", c.hidden_size},
          {"num_hidden_layers", c.num_hidden_layers},
          {"num_attention_heads", c.num_attention_heads},
          {"max_position_embeddings", c.max_position_embeddings},
          {"hidden_act", c.hidden_act},
          {"layer_norm_eps", c.layer_norm_eps},
          // As the tokenizer here numbers them.
          {"bos_token_id", c.vocab_size - 2},
          {"eos_token_id", c.vocab_size - 1},
          {"pad_token_id", c.vocab_size - 1},
          {"torch_dtype", "float32"}};
}

std::unique_ptr<CLIPTextModel> read_clip_text_model(const std::string& folder) {
  const CLIPTextConfig c = clip_text_config_from_json(read_pretrained_config(folder));
  const auto width = static_cast<double>(c.hidden_size);
  check_memory(folder, 8 * width *
                           (static_cast<double>(c.vocab_size + c.max_position_embeddings) +
                            static_cast<double>(c.num_hidden_layers) *
                                (4 * width + 2 * static_cast<double>(c.intermediate_size) + 12)));
  PhiloxGenerator generator(0);
  auto model = std::make_unique<CLIPTextModel>(c, generator);
  std::vector<NamedTensor> weights = read_safetensors(folder + "/model.safetensors").tensors;
  for (NamedTensor& weight : weights)
    if (!weight.name.starts_with(clip_text_prefix)) weight.name.insert(0, clip_text_prefix);
  // Numbers 0, 1, 2, ... that older versions saved.
  std::erase_if(weights, [](const NamedTensor& weight) {
    return weight.name.ends_with("embeddings.position_ids");
  });
  load_state_dict(*model, weights);
  return model;
}

void write_clip_text_model(CLIPTextModel& model, const std::string& folder) {
  write_pretrained(folder, "model.safetensors", clip_text_config_to_json(model.config()),
                   state_dict(model));
}

}  // namespace ebb::apps
