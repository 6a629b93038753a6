#include <ebb/diffusion/text/bpe_tokenizer.h>

#include <algorithm>
#include <cctype>
#include <numeric>

namespace ebb {
namespace {

using Token = BpeTokenizer::Token;
using Merge = BpeTokenizer::Merge;

constexpr Token of_bytes = 256;

// Printable ones first, as GPT-2's table of bytes has them.
const std::array<unsigned char, of_bytes>& byte_order() {
  static const std::array<unsigned char, of_bytes> order = [] {
    std::array<unsigned char, of_bytes> result{};
    const auto prints = [](int b) {
      return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    };
    std::size_t next = 0;
    for (const bool wanted : {true, false})
      for (int b = 0; b < of_bytes; ++b)
        if (prints(b) == wanted) result[next++] = static_cast<unsigned char>(b);
    return result;
  }();
  return order;
}

Token token_of(unsigned char byte) {
  static const std::array<Token, of_bytes> tokens = [] {
    std::array<Token, of_bytes> result{};
    for (Token i = 0; i < of_bytes; ++i) result[byte_order()[static_cast<std::size_t>(i)]] = i;
    return result;
  }();
  return tokens[byte];
}

// Bytes of the space that `text` begins with, 0 where it begins with none.
std::size_t space_at(std::string_view text) {
  const auto c = static_cast<unsigned char>(text[0]);
  if (c == ' ' || (c >= 9 && c <= 13)) return 1;
  for (const std::string_view space :
       {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005",
        "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f",
        "\u3000"})
    if (text.starts_with(space)) return space.size();
  return 0;
}

bool is_punctuation(unsigned char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

std::vector<Token> bytes_as_tokens(std::string_view word) {
  std::vector<Token> tokens;
  for (const char c : word) tokens.push_back(token_of(static_cast<unsigned char>(c)));
  tokens.back() += of_bytes;
  return tokens;
}

// Every `pair` made `token`, from the left.
void replace(std::vector<Token>& tokens, const Merge& pair, Token token) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool here =
        i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
    tokens[to++] = here ? token : tokens[i];
    i += here;
  }
  tokens.resize(to);
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] != b[j])});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

unsigned char BpeTokenizer::byte_at(Token token) {
  return byte_order().at(static_cast<std::size_t>(token));
}

std::vector<std::string> BpeTokenizer::words_of(std::string_view text) {
  check(text.size() <= max_text, "tokenizer: a text of {} bytes; at most {} can be", text.size(),
        max_text);
  std::vector<std::string> words{""};
  while (!text.empty()) {
    const std::size_t space = space_at(text);
    const char c = text[0];
    const bool alone = is_punctuation(static_cast<unsigned char>(c));
    if (space > 0 || alone) words.emplace_back();
    if (space == 0) words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    if (alone) words.emplace_back();
    text.remove_prefix(std::max<std::size_t>(space, 1));
  }
  std::erase(words, "");
  return words;
}

BpeTokenizer::BpeTokenizer(std::vector<Merge> merges, std::set<std::string> words)
    : merges_(std::move(merges)), words_(std::move(words)) {
  for (std::size_t i = 0; i < merges_.size(); ++i) {
    const Token made = first_merge + static_cast<Token>(i);
    const auto& [left, right] = merges_[i];
    check(left >= 0 && right >= 0 && left < made && right < made && !ends_word(left),
          "tokenizer: merge {} of tokens {} and {}; both must stand before it, and the first must "
          "not end a word",
          i, left, right);
    lengths_.push_back(length_of(left) + length_of(right));
    check(lengths_.back() <= max_token, "tokenizer: merge {} makes a token of {} bytes; {} can be",
          i, lengths_.back(), max_token);
    check(ranks_.emplace(merges_[i], made).second, "tokenizer: merge {} is there twice", i);
  }
}

BpeTokenizer BpeTokenizer::train(const std::vector<std::string>& captions, Token vocab_size) {
  check(vocab_size >= first_merge + 2,
        "tokenizer: a vocabulary of {}; bytes, start and end are {} already", vocab_size,
        first_merge + 2);
  std::map<std::string, std::int64_t> counts;
  for (const std::string& caption : captions)
    for (const std::string& word : words_of(caption)) ++counts[word];
  std::vector<std::pair<std::vector<Token>, std::int64_t>> parts;
  std::set<std::string> words;
  for (const auto& [word, count] : counts) {
    words.insert(words.end(), word);
    if (std::ssize(word) <= max_token) parts.emplace_back(bytes_as_tokens(word), count);
  }
  std::vector<Merge> merges;
  for (Token token = first_merge; token + 2 < vocab_size; ++token) {
    std::map<Merge, std::int64_t> pairs;
    for (const auto& [tokens, count] : parts)
      for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
        pairs[{tokens[i], tokens[i + 1]}] += count;
    const auto most =
        std::max_element(pairs.begin(), pairs.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == pairs.end() || most->second < 2) break;
    merges.push_back(most->first);
    for (auto& [tokens, count] : parts) replace(tokens, most->first, token);
  }
  return BpeTokenizer(std::move(merges), std::move(words));
}

std::int64_t BpeTokenizer::length_of(Token token) const {
  return token < first_merge ? 1 : lengths_[static_cast<std::size_t>(token - first_merge)];
}

std::vector<Token> BpeTokenizer::encode_word(std::string_view word) const {
  std::vector<Token> tokens = bytes_as_tokens(word);
  for (;;) {
    auto first = ranks_.end();
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = ranks_.find({tokens[i], tokens[i + 1]});
      if (found != ranks_.end() && (first == ranks_.end() || found->second < first->second))
        first = found;
    }
    if (first == ranks_.end()) return tokens;
    replace(tokens, first->first, first->second);
  }
}

std::vector<Token> BpeTokenizer::encode(std::string_view text) const {
  std::vector<Token> tokens;
  for (const std::string& word : words_of(text)) {
    const std::vector<Token> part = encode_word(word);
    tokens.insert(tokens.end(), part.begin(), part.end());
  }
  return tokens;
}

Tensor BpeTokenizer::encode_all(const std::vector<std::string>& captions,
                                std::int64_t length) const {
  check(length >= 2, "tokenizer: {} tokens a text; start and end are 2 already", length);
  const auto count = static_cast<std::int64_t>(captions.size());
  std::vector<Token> all(static_cast<std::size_t>(count * length), end());
  auto row = all.begin();
  for (const std::string& caption : captions) {
    const std::vector<Token> tokens = encode(caption);
    *row = start();
    const auto kept = std::min<std::int64_t>(length - 2, static_cast<std::int64_t>(tokens.size()));
    std::copy_n(tokens.begin(), kept, row + 1);
    row += length;
  }
  return Tensor::from(all).reshape({count, length});
}

bool BpeTokenizer::ends_word(Token token) const {
  for (; token >= first_merge;
       token = merges_.at(static_cast<std::size_t>(token - first_merge)).second) {
  }
  return token >= of_bytes;
}

std::string BpeTokenizer::bytes_of(Token token) const {
  if (token < first_merge) return {static_cast<char>(byte_at(token % of_bytes))};
  const auto& [left, right] = merges_.at(static_cast<std::size_t>(token - first_merge));
  return bytes_of(left) + bytes_of(right);
}

std::vector<BpeTokenizer::Unseen> BpeTokenizer::unseen_words(std::string_view text) const {
  std::vector<Unseen> result;
  for (const std::string& word : words_of(text)) {
    const bool told = std::any_of(result.begin(), result.end(),
                                  [&](const Unseen& unseen) { return unseen.word == word; });
    if (told || words_.contains(word)) continue;
    std::vector<std::pair<std::size_t, std::string>> near;
    for (const std::string& known : words_) {
      const std::size_t longer = std::max(known.size(), word.size());
      if (longer - std::min(known.size(), word.size()) > longer / 2) continue;
      const std::size_t changes = distance(word, known);
      if (2 * changes <= longer) near.emplace_back(changes, known);
    }
    std::sort(near.begin(), near.end());
    Unseen unseen{word, {}};
    for (std::size_t i = 0; i < std::min<std::size_t>(3, near.size()); ++i)
      unseen.near.push_back(near[i].second);
    result.push_back(std::move(unseen));
  }
  return result;
}

}  // namespace ebb
