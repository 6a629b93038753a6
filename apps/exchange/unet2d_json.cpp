#include <ebb/apps/exchange/pretrained.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/apps/system/memory.h>

namespace ebb::apps {

namespace {

using nlohmann::json;

constexpr const char* unet2d_name = "UNet2D config";

void check_only(const json& object, const char* key, const json& only) {
  apps::check_only(unet2d_name, object, key, only);
}

std::int64_t number_or_null(const JsonReader& j, const char* key, std::int64_t high,
                            std::int64_t absent) {
  return j.is_null(key) ? 0 : j.integer(key, 0, high, absent);
}

std::vector<LevelType> levels_of(const JsonReader& j, const char* key,
                                 const std::vector<LevelType>& otherwise) {
  if (!j.has(key)) return otherwise;
  std::vector<LevelType> levels;
  for (const std::string& name : j.texts(key)) levels.push_back(level_type(name));
  return levels;
}

std::string activation_of(const JsonReader& j, const std::string& otherwise) {
  const std::string name = j.text("act_fn", otherwise);
  return name == "swish" ? "silu" : name;
}

// sample_size: the network's, one number or height and width.
void read_sample_size(const json& config, DiffusersModel& model) {
  const json size = config.value("sample_size", json());
  if (size.is_null()) return;
  const auto pixels = [&](const json& side) {
    check(side.is_number_integer() && side > 0 && side <= 65536,
          "UNet2D config: sample_size is {}; one whole number, or height and width, is needed",
          size.dump());
    return side.get<std::int64_t>() * model.unet->config().patch_size;
  };
  const bool two = size.is_array() && size.size() == 2;
  model.height = pixels(two ? size[0] : size);
  model.width = pixels(two ? size[1] : size);
}

UNet2DConfig conditional_defaults() {
  using enum LevelType;
  UNet2DConfig config;
  config.in_channels = config.out_channels = 4;
  config.down_block_types = {cross_attention, cross_attention, cross_attention, plain};
  config.up_block_types = {plain, cross_attention, cross_attention, cross_attention};
  config.block_out_channels = {320, 640, 1280, 1280};
  return config;
}

// What UNet2DConditionModel has beside UNet2DModel.
void read_text_options(const json& j, UNet2DConfig& config) {
  const JsonReader r(j, "UNet2D config: ");
  for (const char* key :
       {"num_attention_heads", "reverse_transformer_layers_per_block", "encoder_hid_dim",
        "encoder_hid_dim_type", "addition_embed_type", "time_embedding_act_fn", "timestep_post_act",
        "time_cond_proj_dim", "cross_attention_norm"})
    check_only(j, key, nullptr);
  for (const char* key : {"only_cross_attention", "dual_cross_attention", "resnet_skip_time_act",
                          "class_embeddings_concat", "upcast_attention"})
    check_only(j, key, false);
  check_only(j, "attention_type", "default");
  check_only(j, "conv_in_kernel", 3);
  check_only(j, "conv_out_kernel", 3);
  config.cross_attention_dim = r.integer("cross_attention_dim", 1, 65536, 1280);
  config.transformer_layers_per_block = r.integer("transformer_layers_per_block", 1, 64, 1);
  config.use_linear_projection = r.flag("use_linear_projection", false);
  if (!r.has("class_embed_type") || r.is_null("class_embed_type")) return;
  check_only(j, "class_embed_type", "projection");
  config.projection_class_embeddings_input_dim =
      r.integer("projection_class_embeddings_input_dim", 1, 65536, 0);
}

json null_if_zero(std::int64_t value) { return value == 0 ? json() : json(value); }

}  // namespace

UNet2DConfig unet2d_config_from_json(const json& j) {
  const JsonReader r(j, "UNet2D config: ");
  const bool text = j.value("_class_name", json()) == json("UNet2DConditionModel");
  if (!text) check_only(j, "_class_name", "UNet2DModel");
  check_only(j, "time_embedding_type", "positional");
  check_only(j, "time_embedding_dim", nullptr);
  if (!text) check_only(j, "class_embed_type", nullptr);
  check_only(j, "mid_block_type", text ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D");
  constexpr std::int64_t most = 65536;
  const UNet2DConfig d = text ? conditional_defaults() : UNet2DConfig();
  UNet2DConfig c;
  c.in_channels = r.integer("in_channels", 1, most, d.in_channels);
  c.out_channels = r.integer("out_channels", 1, most, d.out_channels);
  c.center_input_sample = r.flag("center_input_sample", d.center_input_sample);
  c.freq_shift = r.number("freq_shift", -1e6, 1e6, d.freq_shift);
  c.flip_sin_to_cos = r.flag("flip_sin_to_cos", d.flip_sin_to_cos);
  c.down_block_types = levels_of(r, "down_block_types", d.down_block_types);
  c.up_block_types = levels_of(r, "up_block_types", d.up_block_types);
  if (r.has("block_out_channels")) c.block_out_channels = r.integers("block_out_channels", 1, most);
  c.layers_per_block = r.integer("layers_per_block", 1, 64, d.layers_per_block);
  c.mid_block_scale_factor =
      r.number("mid_block_scale_factor", -1e6, 1e6, d.mid_block_scale_factor);
  c.downsample_padding = r.integer("downsample_padding", 0, 1, d.downsample_padding);
  c.downsample_type = r.text("downsample_type", d.downsample_type);
  c.upsample_type = r.text("upsample_type", d.upsample_type);
  c.act_fn = activation_of(r, d.act_fn);
  c.attention_head_dim = number_or_null(r, "attention_head_dim", most, d.attention_head_dim);
  c.norm_num_groups = r.integer("norm_num_groups", 1, most, d.norm_num_groups);
  c.attn_norm_num_groups = number_or_null(r, "attn_norm_num_groups", most, 0);
  c.norm_eps = r.number("norm_eps", 0, 1, d.norm_eps);
  c.resnet_time_scale_shift = r.text("resnet_time_scale_shift", d.resnet_time_scale_shift);
  c.add_attention = r.flag("add_attention", d.add_attention);
  c.num_class_embeds = number_or_null(r, "num_class_embeds", 1'000'000, 0);
  if (text) read_text_options(j, c);
  c.null_class = r.flag("null_class", d.null_class);
  c.patch_size = r.integer("patch_size", 1, 256, d.patch_size);
  c.position_embedding = r.flag("position_embedding", false);
  check_config(c);
  return c;
}

json unet2d_config_to_json(const UNet2DConfig& c) {
  json down = json::array(), up = json::array();
  const bool text = c.cross_attention_dim > 0;
  for (const LevelType type : c.down_block_types) down.push_back(down_block_name(type));
  for (const LevelType type : c.up_block_types) up.push_back(up_block_name(type));
  json result{{"_class_name", text ? "UNet2DConditionModel" : "UNet2DModel"},
              {"in_channels", c.in_channels},
              {"out_channels", c.out_channels},
              {"center_input_sample", c.center_input_sample},
              {"time_embedding_type", "positional"},
              {"freq_shift", c.freq_shift},
              {"flip_sin_to_cos", c.flip_sin_to_cos},
              {"down_block_types", down},
              {"up_block_types", up},
              {"block_out_channels", c.block_out_channels},
              {"layers_per_block", c.layers_per_block},
              {"mid_block_scale_factor", c.mid_block_scale_factor},
              {"downsample_padding", c.downsample_padding},
              {"downsample_type", c.downsample_type},
              {"upsample_type", c.upsample_type},
              {"dropout", 0.0},
              {"act_fn", c.act_fn},
              {"attention_head_dim", null_if_zero(c.attention_head_dim)},
              {"norm_num_groups", c.norm_num_groups},
              {"attn_norm_num_groups", null_if_zero(c.attn_norm_num_groups)},
              {"norm_eps", c.norm_eps},
              {"resnet_time_scale_shift", c.resnet_time_scale_shift},
              {"add_attention", c.add_attention},
              {"class_embed_type", nullptr},
              {"num_class_embeds", null_if_zero(c.num_class_embeds)},
              {"null_class", c.null_class},
              {"patch_size", c.patch_size},
              {"position_embedding", c.position_embedding}};
  if (!text) return result;
  result["mid_block_type"] = "UNetMidBlock2DCrossAttn";
  result["cross_attention_dim"] = c.cross_attention_dim;
  result["transformer_layers_per_block"] = c.transformer_layers_per_block;
  result["use_linear_projection"] = c.use_linear_projection;
  if (c.projection_class_embeddings_input_dim == 0) return result;
  result["class_embed_type"] = "projection";
  result["projection_class_embeddings_input_dim"] = c.projection_class_embeddings_input_dim;
  return result;
}

DiffusersModel read_diffusers_model(const std::string& folder) {
  const json config = read_pretrained_config(folder);
  PhiloxGenerator generator(0);
  const UNet2DConfig options = unet2d_config_from_json(config);
  check_memory(folder, 2 * 4 * parameter_bound(options));
  DiffusersModel model{std::make_unique<UNet2D>(options, generator)};
  read_sample_size(config, model);
  load_state_dict(
      *model.unet,
      modern_names(read_safetensors(folder + "/diffusion_pytorch_model.safetensors").tensors));
  return model;
}

void write_diffusers_model(const DiffusersModel& model, const std::string& folder) {
  const std::int64_t patch = model.unet->config().patch_size;
  json config = unet2d_config_to_json(model.unet->config());
  if (model.height > 0) config["sample_size"] = {model.height / patch, model.width / patch};
  write_pretrained(folder, "diffusion_pytorch_model.safetensors", config, state_dict(*model.unet));
}

}  // namespace ebb::apps
