// That the tokens are those of Hugging Face's library is shown by tests/interop/tokenizer_texts.py.
#include <doctest/doctest.h>
#include <ebb/diffusion/text/bpe_tokenizer.h>

#include "tests/check_message.h"

using namespace ebb;

TEST_CASE("tokenizer: words") {
  using Words = std::vector<std::string>;
  CHECK(BpeTokenizer::words_of("A red Square,left of  it's\tend.") ==
        Words{"a", "red", "square", ",", "left", "of", "it", "'", "s", "end", "."});
  CHECK(BpeTokenizer::words_of("\u3000\u00e9\u00a0x\u2003") == Words{"\u00e9", "x"});
  CHECK(BpeTokenizer::words_of(" \n").empty());
  CHECK(BpeTokenizer::words_of("").empty());
  CHECK_THROWS_AS(BpeTokenizer::words_of(std::string(BpeTokenizer::max_text + 1, 'x')), Error);
}

TEST_CASE("tokenizer: the most frequent pairs become tokens, and text comes back from them") {
  // "low" 5 times, "lower" 2, "newest" 6, "widest" 3: the example of Sennrich et al. 2016, whose
  // first merges are e s, es t (with the word's end in it here), l o.
  std::vector<std::string> captions;
  const auto add = [&](const char* word, int count) {
    for (int i = 0; i < count; ++i) captions.emplace_back(word);
  };
  add("low", 5), add("lower", 2), add("newest", 6), add("widest", 3);
  const BpeTokenizer tokenizer = BpeTokenizer::train(captions, 514 + 3);
  REQUIRE(tokenizer.merges().size() == 3);
  CHECK(tokenizer.bytes_of(512) == "es");
  CHECK(tokenizer.bytes_of(513) == "est");
  CHECK(tokenizer.ends_word(513));
  CHECK(tokenizer.bytes_of(514) == "lo");
  CHECK(!tokenizer.ends_word(514));
  const std::vector<BpeTokenizer::Token> tokens = tokenizer.encode("lowest \u00e9\n");
  std::string text;
  for (const BpeTokenizer::Token token : tokens)
    text += tokenizer.bytes_of(token) + (tokenizer.ends_word(token) ? " " : "");
  CHECK(text == "lowest \u00e9 ");
  CHECK(tokens.size() == 5);

  const Tensor all = tokenizer.encode_all({"low low", "", "newest widest lowest"}, 5);
  CHECK(all.shape() == Shape{3, 5});
  const std::vector<std::int64_t> rows = all.to_vector<std::int64_t>();
  CHECK(rows[0] == tokenizer.start());
  CHECK(rows[5] == tokenizer.start());
  CHECK(rows[6] == tokenizer.end());
  CHECK(rows[14] == tokenizer.end());  // cut, and ended all the same
}

TEST_CASE("tokenizer: unseen words are named with near ones") {
  const BpeTokenizer tokenizer = BpeTokenizer::train({"a red square", "a green circle", "a red"});
  CHECK(tokenizer.unseen_words("A RED circle").empty());
  const auto unseen = tokenizer.unseen_words("a rde sqare, sqare zebrafish");
  REQUIRE(unseen.size() == 4);
  CHECK(unseen[0].word == "rde");
  CHECK(unseen[1].word == "sqare");
  CHECK(unseen[1].near == std::vector<std::string>{"square"});
  CHECK(unseen[2].word == ",");
  CHECK(unseen[3].word == "zebrafish");
  CHECK(unseen[3].near.empty());
}

TEST_CASE("tokenizer: what cannot be is said") {
  CHECK_THROWS_AS(BpeTokenizer::train({"x"}, 513), Error);
  CHECK_THROWS_AS(BpeTokenizer({{512, 0}}), Error);
  CHECK_THROWS_AS(BpeTokenizer({{-1, 0}}), Error);
  CHECK_THROWS_AS(BpeTokenizer({{300, 0}}), Error);  // a word's end within a word
  CHECK_THROWS_AS(BpeTokenizer({{1, 2}, {1, 2}}), Error);
  std::vector<BpeTokenizer::Merge> doubling{{0, 0}};  // 2, 4, 8, ... bytes
  for (BpeTokenizer::Token token = 512; token < 519; ++token) doubling.emplace_back(token, token);
  CHECK(BpeTokenizer(doubling).bytes_of(519).size() == BpeTokenizer::max_token);
  doubling.emplace_back(519, 519);
  CHECK_THROWS_AS(BpeTokenizer{doubling}, Error);
  const std::string endless(5000, 'x');
  CHECK(BpeTokenizer::train({endless, endless, "xx xx"}).merges().size() == 1);
  CHECK_THROWS_AS(BpeTokenizer({}).encode_all({"x"}, 1), Error);
}
