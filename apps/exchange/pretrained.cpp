#include <ebb/apps/exchange/pretrained.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>

#include <filesystem>

namespace ebb::apps {

using nlohmann::json;

json read_pretrained_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  check(std::filesystem::exists(path), "{}: there is none; a diffusers model has its options there",
        path);
  json config = json::parse(read_file(path, 1 << 20), nullptr, /*allow_exceptions=*/false);
  check(!config.is_discarded(), "{}: is no JSON", path);
  return config;
}

void write_pretrained(const std::string& folder, std::string_view file, const json& config,
                      const std::vector<NamedTensor>& weights) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "{}: cannot make this folder: {}; choose another place", folder, error.message());
  write_safetensors(fmt::format("{}/{}", folder, file), weights, {{"format", "pt"}});
  write_file(folder + "/config.json", config.dump(2) + "\n");
}

std::string shown_json(const json& value) {
  return shown(value.dump(-1, ' ', true, json::error_handler_t::replace), 80);
}

void check_only(std::string_view what, const json& object, const char* key, const json& only) {
  const json found = object.value(key, only);
  check(found == only, "{}: {} is {}; this program has {} alone", what, key, shown_json(found),
        only.dump());
}

}  // namespace ebb::apps
