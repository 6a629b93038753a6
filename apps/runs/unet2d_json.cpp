#include <ebb/apps/runs/unet2d_json.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/apps/system/memory.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/io/safetensors.h>

#include <filesystem>

namespace ebb::apps {

namespace {

using nlohmann::json;

// Absent or `only`.
void check_only(const json& object, const char* key, const json& only) {
  const json found = object.value(key, only);
  check(found == only, "UNet2D config: {} is {}; this program has {} alone", key,
        shown(found.dump(-1, ' ', true, json::error_handler_t::replace), 80), only.dump());
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

json null_if_zero(std::int64_t value) { return value == 0 ? json() : json(value); }

}  // namespace

UNet2DConfig unet2d_config_from_json(const json& j) {
  const JsonReader r(j, "UNet2D config: ");
  check_only(j, "_class_name", "UNet2DModel");
  check_only(j, "time_embedding_type", "positional");
  check_only(j, "time_embedding_dim", nullptr);
  check_only(j, "class_embed_type", nullptr);
  check_only(j, "mid_block_type", "UNetMidBlock2D");
  constexpr std::int64_t most = 65536;
  const UNet2DConfig d;
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
  c.null_class = r.flag("null_class", d.null_class);
  c.patch_size = r.integer("patch_size", 1, 256, d.patch_size);
  check_config(c);
  return c;
}

json unet2d_config_to_json(const UNet2DConfig& c) {
  json down = json::array(), up = json::array();
  for (const LevelType type : c.down_block_types) down.push_back(down_block_name(type));
  for (const LevelType type : c.up_block_types) up.push_back(up_block_name(type));
  return {{"_class_name", "UNet2DModel"},
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
          {"patch_size", c.patch_size}};
}

DiffusersModel read_diffusers_model(const std::string& folder) {
  const std::string path = folder + "/config.json";
  check(std::filesystem::exists(path), "{}: there is none; a diffusers model has its options there",
        path);
  const json config = json::parse(read_file(path, 1 << 20), nullptr, /*allow_exceptions=*/false);
  check(!config.is_discarded(), "{}: is no JSON", path);
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
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "{}: cannot make this folder: {}; choose another place", folder, error.message());
  const std::int64_t patch = model.unet->config().patch_size;
  json config = unet2d_config_to_json(model.unet->config());
  if (model.height > 0) config["sample_size"] = {model.height / patch, model.width / patch};
  write_safetensors(folder + "/diffusion_pytorch_model.safetensors", state_dict(*model.unet),
                    {{"format", "pt"}});
  write_file(folder + "/config.json", config.dump(2) + "\n");
}

}  // namespace ebb::apps
