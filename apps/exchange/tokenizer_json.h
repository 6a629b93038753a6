// BpeTokenizer as the tokenizer.json of Hugging Face's tokenizers, whose library gives the same
// tokens for the same text.
#pragma once

#include <ebb/diffusion/text/bpe_tokenizer.h>

#include <nlohmann/json.hpp>
#include <string>

namespace ebb::apps {

nlohmann::json tokenizer_to_json(const BpeTokenizer& tokenizer);
// What tokenizer_to_json gives, and the words seen in training; another kind of tokenizer is an
// Error that names what differs.
BpeTokenizer tokenizer_from_json(const nlohmann::json& json, std::set<std::string> words = {});

// FOLDER/tokenizer.json, and FOLDER/words.txt, which has no place in it: a word a line.
BpeTokenizer read_tokenizer(const std::string& folder);
void write_tokenizer(const std::string& folder, const BpeTokenizer& tokenizer);

}  // namespace ebb::apps
