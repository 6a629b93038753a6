// AutoencoderKLConfig as JSON: the config.json of Hugging Face diffusers' AutoencoderKL.
#pragma once

#include <ebb/diffusion/latent/autoencoder_kl.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace ebb::apps {

// Keys that are absent have diffusers' defaults. A value of the wrong type, and an option that
// AutoencoderKL lacks here, is an Error that names the key.
AutoencoderKLConfig autoencoder_config_from_json(const nlohmann::json& json);
nlohmann::json autoencoder_config_to_json(const AutoencoderKLConfig& config);

// A folder as diffusers saves it: config.json beside diffusion_pytorch_model.safetensors. A file
// that is missing or damaged, and weights that do not fit, are an Error that names them.
std::unique_ptr<AutoencoderKL> read_diffusers_autoencoder(const std::string& folder);
// `sample_size` is the height and width of its images.
void write_diffusers_autoencoder(AutoencoderKL& model, std::int64_t sample_size,
                                 const std::string& folder);

}  // namespace ebb::apps
