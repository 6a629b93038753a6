// Byte-pair encoding (Sennrich et al. 2016, alg. 1) of texts, as CLIP's tokenizer has it: words of
// bytes, of which the last carries the end of the word, and the pairs that were found most often
// made one token after another.
//
// Words are what stands between spaces (Unicode's White_Space), a character of ASCII punctuation is
// a word of its own, and A to Z become small.
//
// Tokens: 0 to 255 bytes (in the order of byte_at), 256 to 511 the same at a word's end, then one
// for each merge, then the start and the end of a text.
#pragma once

#include <ebb/tensor/tensor.h>

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ebb {

class BpeTokenizer {
 public:
  using Token = std::int64_t;
  using Merge = std::pair<Token, Token>;

  // The merges of `captions` in their order: as many as keep the vocabulary within `vocab_size`, of
  // pairs that occur twice or more. Ties go to the smaller tokens. vocab_size is at least 514.
  static BpeTokenizer train(const std::vector<std::string>& captions, Token vocab_size = 2048);
  // Merges of tokens that stand before them, to tokens of at most max_token bytes, and the words
  // that were seen in training; else Error.
  explicit BpeTokenizer(std::vector<Merge> merges, std::set<std::string> words = {});

  Token vocab_size() const { return end() + 1; }
  Token start() const { return first_merge + static_cast<Token>(merges_.size()); }
  Token end() const { return start() + 1; }
  const std::vector<Merge>& merges() const { return merges_; }
  const std::set<std::string>& words() const { return words_; }

  // The tokens of a text, without start and end. At most max_text bytes; else Error.
  std::vector<Token> encode(std::string_view text) const;
  static constexpr std::size_t max_text = 1 << 16;
  static constexpr std::int64_t max_token = 256;
  // Captions as CLIPTextModel takes them, (N, length) int64: start, tokens, end, and ends for the
  // rest; tokens that find no place are left out. length is at least 2.
  Tensor encode_all(const std::vector<std::string>& captions, std::int64_t length) const;
  // Bytes of a token, without its end of the word.
  std::string bytes_of(Token token) const;
  // Whether a word ends with this token.
  bool ends_word(Token token) const;

  // Words of a text that were not seen in training, each with up to three that are nearest by
  // letters changed, added or left out (Levenshtein 1966), of at most half of its own.
  struct Unseen {
    std::string word;
    std::vector<std::string> near;
  };
  std::vector<Unseen> unseen_words(std::string_view text) const;

  static std::vector<std::string> words_of(std::string_view text);
  // The byte that token i < 256 stands for: those that print, in order, then the rest.
  static unsigned char byte_at(Token token);

  static constexpr Token first_merge = 512;

 private:
  // Bytes of a token.
  std::int64_t length_of(Token token) const;
  std::vector<Token> encode_word(std::string_view word) const;

  std::vector<Merge> merges_;
  std::map<Merge, Token> ranks_;       // to the token that is made
  std::vector<std::int64_t> lengths_;  // of those tokens
  std::set<std::string> words_;
};

}  // namespace ebb
