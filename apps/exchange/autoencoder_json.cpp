#include <ebb/apps/exchange/autoencoder_json.h>
#include <ebb/apps/exchange/pretrained.h>
#include <ebb/apps/exchange/unet2d_json.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/apps/system/memory.h>

namespace ebb::apps {

using nlohmann::json;

namespace {

constexpr const char* autoencoder_name = "AutoencoderKL config";
constexpr const char* autoencoder_file = "diffusion_pytorch_model.safetensors";

// No fewer parameters than the network has, nor many times more.
double autoencoder_parameter_bound(const AutoencoderKLConfig& c) {
  double total = 0, before = 0;
  for (const std::int64_t channels : c.block_out_channels) {
    const auto width = static_cast<double>(channels), widest = std::max(width, before);
    total += (2 * static_cast<double>(c.layers_per_block) + 7) * (19 * widest * widest);
    before = width;
  }
  return total +
         9 * before *
             static_cast<double>(c.in_channels + c.out_channels + 4 * c.latent_channels + 4);
}

// Every level of one kind, and as many of them as widths.
void check_levels(const json& config, const char* key, const char* only, std::size_t levels) {
  const json expected = json::array({only});
  const json found = config.value(key, expected);
  check(found == json(std::vector<std::string>(levels, only)),
        "{}: {} is {}; {} times {} is what this program has", autoencoder_name, key,
        shown_json(found), levels, only);
}

}  // namespace

AutoencoderKLConfig autoencoder_config_from_json(const json& j) {
  const JsonReader r(j, std::string(autoencoder_name) + ": ");
  check_only(autoencoder_name, j, "_class_name", "AutoencoderKL");
  check_only(autoencoder_name, j, "latents_mean", nullptr);
  check_only(autoencoder_name, j, "latents_std", nullptr);
  constexpr std::int64_t most = 65536;
  const AutoencoderKLConfig d;
  AutoencoderKLConfig c;
  c.in_channels = r.integer("in_channels", 1, most, d.in_channels);
  c.out_channels = r.integer("out_channels", 1, most, d.out_channels);
  c.latent_channels = r.integer("latent_channels", 1, most, d.latent_channels);
  if (r.has("block_out_channels")) c.block_out_channels = r.integers("block_out_channels", 1, most);
  c.layers_per_block = r.integer("layers_per_block", 1, 64, d.layers_per_block);
  c.norm_num_groups = r.integer("norm_num_groups", 1, most, d.norm_num_groups);
  c.act_fn = r.text("act_fn", d.act_fn);
  if (c.act_fn == "swish") c.act_fn = "silu";
  c.mid_block_add_attention = r.flag("mid_block_add_attention", true);
  c.use_quant_conv = r.flag("use_quant_conv", true);
  c.use_post_quant_conv = r.flag("use_post_quant_conv", true);
  c.scaling_factor = r.number("scaling_factor", 1e-12, 1e12, d.scaling_factor);
  if (!r.is_null("shift_factor")) c.shift_factor = r.number("shift_factor", -1e12, 1e12, 0.0);
  check_levels(j, "down_block_types", "DownEncoderBlock2D", c.block_out_channels.size());
  check_levels(j, "up_block_types", "UpDecoderBlock2D", c.block_out_channels.size());
  check_config(c);
  return c;
}

json autoencoder_config_to_json(const AutoencoderKLConfig& c) {
  const std::size_t levels = c.block_out_channels.size();
  return {{"_class_name", "AutoencoderKL"},
          {"in_channels", c.in_channels},
          {"out_channels", c.out_channels},
          {"latent_channels", c.latent_channels},
          {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
          {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
          {"block_out_channels", c.block_out_channels},
          {"layers_per_block", c.layers_per_block},
          {"norm_num_groups", c.norm_num_groups},
          {"act_fn", c.act_fn},
          {"mid_block_add_attention", c.mid_block_add_attention},
          {"use_quant_conv", c.use_quant_conv},
          {"use_post_quant_conv", c.use_post_quant_conv},
          {"scaling_factor", c.scaling_factor},
          {"shift_factor", c.shift_factor}};
}

std::unique_ptr<AutoencoderKL> read_diffusers_autoencoder(const std::string& folder) {
  const AutoencoderKLConfig config = autoencoder_config_from_json(read_pretrained_config(folder));
  check_memory(folder, 2 * 4 * autoencoder_parameter_bound(config));
  PhiloxGenerator generator(0);
  auto model = std::make_unique<AutoencoderKL>(config, generator);
  load_state_dict(*model, modern_names(read_safetensors(folder + "/" + autoencoder_file).tensors));
  return model;
}

void write_diffusers_autoencoder(AutoencoderKL& model, std::int64_t sample_size,
                                 const std::string& folder) {
  json config = autoencoder_config_to_json(model.config());
  config["sample_size"] = sample_size;
  write_pretrained(folder, autoencoder_file, config, state_dict(model));
}

}  // namespace ebb::apps
