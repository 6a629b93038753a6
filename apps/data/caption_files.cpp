#include <ebb/apps/data/caption_files.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/input_file.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t most_metadata = std::uint64_t{1} << 30, most_caption = 1 << 16;

// Without spaces, a byte order mark and a carriage return at its ends.
std::string trimmed(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  const std::size_t first = text.find_first_not_of(" \t\r\n"),
                    last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// By path.
std::map<std::string, std::string> read_metadata(const fs::path& folder) {
  std::map<std::string, std::string> captions;
  const std::string path = (folder / "metadata.jsonl").string();
  if (!fs::exists(path)) return captions;
  std::istringstream lines(read_file(path, most_metadata));
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (trimmed(line).empty()) continue;
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto text_at = [&](const char* key) {
      return entry.is_object() && entry.contains(key) && entry[key].is_string();
    };
    check(text_at("file_name") && text_at("text"),
          "{}, line {}: no object with \"file_name\" and \"text\", both strings; mend it", path,
          number);
    const fs::path picture = (folder / entry["file_name"].get<std::string>()).lexically_normal();
    std::error_code error;
    check(fs::exists(picture, error), "{}, line {}: {} is not there; remove the line", path, number,
          picture.string());
    const std::string text = trimmed(entry["text"]);
    const auto [told, first] = captions.try_emplace(picture.string(), text);
    check(first || told->second == text,
          "{}, line {}: {} is '{}', a line before says '{}'; remove one of them", path, number,
          picture.string(), shown(text, 60), shown(told->second, 60));
  }
  return captions;
}

std::string read_beside(const std::string& picture) {
  const std::string path = fs::path(picture).replace_extension(".txt").string();
  if (!fs::exists(path)) return "";
  const std::string text = read_file(path, most_caption);
  return trimmed(text.substr(0, text.find('\n')));
}

}  // namespace

std::vector<std::string> read_captions(const std::string& folder,
                                       const std::vector<std::string>& files) {
  const std::map<std::string, std::string> metadata = read_metadata(folder);
  std::vector<std::string> captions;
  for (const std::string& file : files) {
    const std::string beside = read_beside(file);
    const auto told = metadata.find(fs::path(file).lexically_normal().string());
    check(told == metadata.end() || beside.empty() || told->second == beside,
          "{}: metadata.jsonl says '{}', its .txt file '{}'; remove one of them", file,
          told == metadata.end() ? "" : shown(told->second, 60), shown(beside, 60));
    captions.push_back(told == metadata.end() ? beside : told->second);
  }
  return captions;
}

}  // namespace ebb::apps
