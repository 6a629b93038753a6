#include <ebb/apps/evaluation/kept_judge.h>
#include <ebb/apps/system/console.h>
#include <ebb/nn/module.h>
#include <ebb/tensor/io/safetensors.h>

#include <filesystem>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* judge_kind = "classifier";

}  // namespace

bool load_judge(const std::vector<NamedTensor>& into, const std::string& file,
                const std::string& wanted) {
  if (!fs::exists(file)) return false;
  try {
    Safetensors kept = read_safetensors(file);
    check(kept.metadata["ebb.kind"] == judge_kind, "{}: it holds no classifier", file);
    if (kept.metadata["ebb.classifier"] != wanted) return false;
    load_tensors(into, kept.tensors);
    return true;
  } catch (const Error& error) {
    note(fmt::format("{}; it is trained again", error.what()));
    return false;
  }
}

std::string save_judge(const std::vector<NamedTensor>& weights, const std::string& file,
                       const std::string& wanted) {
  try {
    std::error_code error;
    fs::create_directories(fs::path(file).parent_path(), error);
    write_safetensors(file, weights,
                      {{"format", "pt"}, {"ebb.kind", judge_kind}, {"ebb.classifier", wanted}});
    return file;
  } catch (const Error& error) {
    note(fmt::format("the classifier is not kept: {}", error.what()));
    return {};
  }
}

}  // namespace ebb::apps
