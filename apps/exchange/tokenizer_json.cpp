#include <ebb/apps/exchange/tokenizer_json.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/json_reader.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>

#include <sstream>
#include <unordered_map>

namespace ebb::apps {

using nlohmann::json;

namespace {

using Token = BpeTokenizer::Token;

constexpr const char* start_token = "<|startoftext|>";
constexpr const char* end_token = "<|endoftext|>";
constexpr const char* word_end = "</w>";

void append_utf8(std::string& to, unsigned code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else {
    to += static_cast<char>(0xc0 | (code >> 6));
    to += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// Bytes that print stand for themselves, the others are U+0100 and on (GPT-2's table).
std::string shown_token(const BpeTokenizer& tokenizer, Token token) {
  static const std::array<unsigned, 256> codes = [] {
    std::array<unsigned, 256> result{};
    unsigned next = 0x100;
    for (Token i = 0; i < 256; ++i) {
      const unsigned char byte = BpeTokenizer::byte_at(i);
      const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      result[byte] = prints ? byte : next++;
    }
    return result;
  }();
  std::string text;
  for (const char c : tokenizer.bytes_of(token))
    append_utf8(text, codes[static_cast<unsigned char>(c)]);
  return tokenizer.ends_word(token) ? text + word_end : text;
}

json small_letters() {
  json list = json::array();
  for (char c = 'A'; c <= 'Z'; ++c)
    list.push_back({{"type", "Replace"},
                    {"pattern", {{"String", std::string(1, c)}}},
                    {"content", std::string(1, static_cast<char>(c + ('a' - 'A')))}});
  return {{"type", "Sequence"}, {"normalizers", list}};
}

json special_token(Token id, const char* content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

// All but the model: the same for every tokenizer of this kind.
json frame(const BpeTokenizer& tokenizer) {
  const auto special = [](const char* token) {
    return json{{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
  };
  const auto sequence = [](const char* id) {
    return json{{"Sequence", {{"id", id}, {"type_id", 0}}}};
  };
  const auto ids = [](const char* token, Token id) {
    return json{{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  const json byte_level{{"type", "ByteLevel"},
                        {"add_prefix_space", false},
                        {"trim_offsets", true},
                        {"use_regex", false}};
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens",
       {special_token(tokenizer.start(), start_token), special_token(tokenizer.end(), end_token)}},
      {"normalizer", small_letters()},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "WhitespaceSplit"}},
          {{"type", "Split"},
           {"pattern", {{"Regex", "[!-/:-@\\[-`{-~]"}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          byte_level}}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {special(start_token), sequence("A"), special(end_token)}},
        {"pair",
         {special(start_token), sequence("A"), special(end_token), sequence("B"),
          special(end_token)}},
        {"special_tokens",
         {{start_token, ids(start_token, tokenizer.start())},
          {end_token, ids(end_token, tokenizer.end())}}}}},
      {"decoder", byte_level}};
}

}  // namespace

json tokenizer_to_json(const BpeTokenizer& tokenizer) {
  json vocab = json::object(), merges = json::array();
  for (Token token = 0; token < tokenizer.start(); ++token)
    vocab[shown_token(tokenizer, token)] = token;
  vocab[start_token] = tokenizer.start();
  vocab[end_token] = tokenizer.end();
  for (const auto& [left, right] : tokenizer.merges())
    merges.push_back({shown_token(tokenizer, left), shown_token(tokenizer, right)});
  json result = frame(tokenizer);
  result["model"] = {{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", nullptr},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", word_end},
                     {"fuse_unk", false},
                     {"byte_fallback", false},
                     {"ignore_merges", false},
                     {"vocab", vocab},
                     {"merges", merges}};
  return result;
}

BpeTokenizer tokenizer_from_json(const json& j, std::set<std::string> words) {
  const JsonReader model = JsonReader(j, "tokenizer: ").object("model");
  check(model.text("type") == "BPE", "tokenizer: model.type is {}; BPE is needed",
        shown(model.text("type"), 80));
  const json &vocab = j["model"].value("vocab", json()),
             &pairs = j["model"].value("merges", json());
  check(vocab.is_object() && pairs.is_array(), "tokenizer: model.vocab or model.merges is missing");
  std::unordered_map<std::string, Token> tokens;
  const BpeTokenizer bytes({});
  for (Token token = 0; token < BpeTokenizer::first_merge; ++token)
    tokens[shown_token(bytes, token)] = token;
  std::vector<BpeTokenizer::Merge> merges;
  for (const json& pair : pairs) {
    std::array<std::string, 2> parts;
    if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string()) {
      parts = {pair[0], pair[1]};
    } else {  // as older versions write them
      const std::string text = pair.is_string() ? pair.get<std::string>() : "";
      const std::size_t space = text.find(' ');
      if (space != std::string::npos) parts = {text.substr(0, space), text.substr(space + 1)};
    }
    const auto left = tokens.find(parts[0]), right = tokens.find(parts[1]);
    check(left != tokens.end() && right != tokens.end(),
          "tokenizer: merge {} of '{}' and '{}'; one of them is no token before it", merges.size(),
          shown(parts[0], 40), shown(parts[1], 40));
    merges.emplace_back(left->second, right->second);
    tokens[parts[0] + parts[1]] = BpeTokenizer::first_merge + static_cast<Token>(merges.size()) - 1;
  }
  BpeTokenizer tokenizer(std::move(merges), std::move(words));
  const json expected = tokenizer_to_json(tokenizer);
  for (const auto& [key, value] : expected.items())
    if (key != "model")
      check(
          j.contains(key) && j[key] == value,
          "tokenizer: its {} is another than this program's; only tokenizers that it wrote can be "
          "read",
          key);
  check(vocab == expected["model"]["vocab"],
        "tokenizer: the tokens of its vocabulary are not numbered bytes, merges, start, end");
  return tokenizer;
}

BpeTokenizer read_tokenizer(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  const json j = json::parse(read_file(path, 256 << 20), nullptr, /*allow_exceptions=*/false);
  check(!j.is_discarded(), "{}: is no JSON", path);
  std::set<std::string> words;
  std::istringstream lines(read_file(folder + "/words.txt", 256 << 20));
  for (std::string word; std::getline(lines, word);) words.insert(std::move(word));
  try {
    return tokenizer_from_json(j, std::move(words));
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
}

void write_tokenizer(const std::string& folder, const BpeTokenizer& tokenizer) {
  std::string words;
  for (const std::string& word : tokenizer.words()) words += word + '\n';
  write_file(folder + "/words.txt", words);
  write_file(folder + "/tokenizer.json",
             tokenizer_to_json(tokenizer).dump(1, ' ', /*ensure_ascii=*/false) + "\n");
}

}  // namespace ebb::apps
