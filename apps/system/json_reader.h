// Values of a JSON object that may hold anything: each has a type and bounds, and what it is not
// is an Error that names the key, the value and what is allowed.
#pragma once

#include <ebb/tensor/error.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ebb::apps {

// What the values of an enumeration are called.
template <class T>
using Names = std::vector<std::pair<std::string_view, T>>;

class JsonReader {
 public:
  // `json` must outlive it; `where` goes before the keys in messages ("training.").
  explicit JsonReader(const nlohmann::json& json, std::string where = {});

  bool has(const char* key) const { return json_.contains(key); }
  bool is_null(const char* key) const { return has(key) && json_[key].is_null(); }
  // The object at `key`.
  JsonReader object(const char* key) const;

  // Here and below: without `absent` the key must be there. Bounds are included.
  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> absent = {}) const;
  std::uint64_t seed(const char* key) const;  // any 64 bits
  double number(const char* key, double low, double high, std::optional<double> absent = {}) const;
  bool flag(const char* key, std::optional<bool> absent = {}) const;
  std::string text(const char* key, std::optional<std::string> absent = {}) const;
  std::vector<std::int64_t> integers(const char* key, std::int64_t low, std::int64_t high) const;
  std::vector<std::string> texts(const char* key) const;
  // One of `names`.
  template <class T>
  T choice(const char* key, const Names<T>& names, std::optional<T> absent = {}) const {
    if (absent && !has(key)) return *absent;
    const std::string name = text(key);
    std::vector<std::string_view> known;
    for (const auto& [known_name, value] : names) {
      if (name == known_name) return value;
      known.push_back(known_name);
    }
    refuse(key, fmt::format("one of {}", fmt::join(known, ", ")));
  }

 private:
  const nlohmann::json& at(const char* key) const;
  [[noreturn]] void refuse(const char* key, const std::string& allowed) const;

  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace ebb::apps
