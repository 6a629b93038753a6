// A network as Hugging Face's libraries save one: a folder with config.json beside its weights.
#pragma once

#include <ebb/tensor/io/safetensors.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ebb::apps {

// FOLDER/config.json; an Error if it is missing or no JSON.
nlohmann::json read_pretrained_config(const std::string& folder);
// Makes FOLDER where there is none and writes config.json and the weights as `file`; an Error where
// that fails.
void write_pretrained(const std::string& folder, std::string_view file,
                      const nlohmann::json& config, const std::vector<NamedTensor>& weights);

// A value as a message can have it.
std::string shown_json(const nlohmann::json& value);
// An Error that names the key and `only` unless `key` is absent or `only`; `what` begins it.
void check_only(std::string_view what, const nlohmann::json& object, const char* key,
                const nlohmann::json& only);

}  // namespace ebb::apps
