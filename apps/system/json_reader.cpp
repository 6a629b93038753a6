#include <ebb/apps/system/console.h>
#include <ebb/apps/system/json_reader.h>

#include <cmath>

namespace ebb::apps {
namespace {

// Of texts (names, paths, classes) and of lists.
constexpr std::size_t longest_text = 4096, longest_list = 100'000;

}  // namespace

JsonReader::JsonReader(const nlohmann::json& json, std::string where)
    : json_(json), where_(std::move(where)) {
  check(json.is_object(), "{} no JSON object",
        where_.empty() ? "it is" : where_.substr(0, where_.size() - 1) + " is");
}

const nlohmann::json& JsonReader::at(const char* key) const {
  check(has(key), "{}{} is missing", where_, key);
  return json_[key];
}

void JsonReader::refuse(const char* key, const std::string& allowed) const {
  fail("{}{} is {}; {} is needed", where_, key,
       shown(at(key).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace), 80), allowed);
}

JsonReader JsonReader::object(const char* key) const {
  if (!at(key).is_object()) refuse(key, "an object");
  return JsonReader(at(key), where_ + key + ".");
}

std::int64_t JsonReader::integer(const char* key, std::int64_t low, std::int64_t high,
                                 std::optional<std::int64_t> absent) const {
  if (absent && !has(key)) return *absent;
  const nlohmann::json& value = at(key);
  const bool whole = value.is_number_integer() &&
                     (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  if (!whole || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
    refuse(key, fmt::format("a whole number from {} to {}", low, high));
  return value.get<std::int64_t>();
}

std::uint64_t JsonReader::seed(const char* key) const {
  if (!at(key).is_number_unsigned()) refuse(key, "a whole number from 0");
  return at(key).get<std::uint64_t>();
}

double JsonReader::number(const char* key, double low, double high,
                          std::optional<double> absent) const {
  if (absent && !has(key)) return *absent;
  const nlohmann::json& value = at(key);
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(number >= low && number <= high))
    refuse(key, fmt::format("a number from {} to {}", low, high));
  return number;
}

bool JsonReader::flag(const char* key, std::optional<bool> absent) const {
  if (absent && !has(key)) return *absent;
  if (!at(key).is_boolean()) refuse(key, "true or false");
  return at(key).get<bool>();
}

std::string JsonReader::text(const char* key, std::optional<std::string> absent) const {
  if (absent && !has(key)) return *absent;
  const nlohmann::json& value = at(key);
  if (!value.is_string() || value.get_ref<const std::string&>().size() > longest_text)
    refuse(key, fmt::format("a text of at most {} bytes", longest_text));
  return value.get<std::string>();
}

std::vector<std::int64_t> JsonReader::integers(const char* key, std::int64_t low,
                                               std::int64_t high) const {
  const nlohmann::json& list = at(key);
  if (!list.is_array() || list.size() > longest_list) refuse(key, "a list of numbers");
  std::vector<std::int64_t> result;
  for (const nlohmann::json& value : list) {
    const nlohmann::json one{{key, value}};
    result.push_back(JsonReader(one, where_).integer(key, low, high));
  }
  return result;
}

std::vector<std::string> JsonReader::texts(const char* key) const {
  const nlohmann::json& list = at(key);
  if (!list.is_array() || list.size() > longest_list) refuse(key, "a list of texts");
  std::vector<std::string> result;
  for (const nlohmann::json& value : list) {
    const nlohmann::json one{{key, value}};
    result.push_back(JsonReader(one, where_).text(key));
  }
  return result;
}

}  // namespace ebb::apps
