// UNet2DConfig as JSON: the config.json of Hugging Face diffusers' UNet2DModel, and two keys of
// our own (null_class, patch_size) that diffusers passes over.
#pragma once

#include <ebb/diffusion/models/unet2d.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace ebb::apps {

// Keys that are absent have diffusers' defaults. A value of the wrong type, and an option that
// UNet2D lacks (Fourier time embedding, other class embeddings, other block types), is an Error
// that names the key.
UNet2DConfig unet2d_config_from_json(const nlohmann::json& json);
nlohmann::json unet2d_config_to_json(const UNet2DConfig& config);

// A folder as diffusers saves it: config.json beside diffusion_pytorch_model.safetensors. Older
// names of attention weights are understood.
struct DiffusersModel {
  std::unique_ptr<UNet2D> unet;
  std::int64_t height = 0, width = 0;  // of its images, before the stem; 0: not said
};
// A file that is missing or damaged, an option that UNet2D lacks and weights that do not fit are an
// Error that names them.
DiffusersModel read_diffusers_model(const std::string& folder);
// The folder is made where there is none; an Error where that fails.
void write_diffusers_model(const DiffusersModel& model, const std::string& folder);

}  // namespace ebb::apps
