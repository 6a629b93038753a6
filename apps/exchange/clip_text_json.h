// CLIPTextConfig as JSON: the config.json of Hugging Face transformers' CLIPTextModel.
#pragma once

#include <ebb/diffusion/text/clip_text_model.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace ebb::apps {

// Keys that are absent have the defaults there. A value of the wrong type, and an option that is
// unknown here, is an Error that names the key.
CLIPTextConfig clip_text_config_from_json(const nlohmann::json& json);
nlohmann::json clip_text_config_to_json(const CLIPTextConfig& config);

// A folder as transformers saves it: config.json beside model.safetensors, names with or without
// "text_model." before them. A file that is missing or damaged, and weights that do not fit, are an
// Error that names them.
std::unique_ptr<CLIPTextModel> read_clip_text_model(const std::string& folder);
void write_clip_text_model(CLIPTextModel& model, const std::string& folder);

}  // namespace ebb::apps
