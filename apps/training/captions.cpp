#include <ebb/apps/system/console.h>
#include <ebb/apps/training/captions.h>

#include <algorithm>
#include <numeric>

namespace ebb::apps {
namespace {

constexpr std::int64_t most_tokens = 77;  // CLIP's

struct Widths {
  std::int64_t hidden, layers, heads;
};
Widths widths_of(std::string_view preset) {
  if (preset == "tiny") return {32, 1, 2};
  if (preset == "small") return {64, 2, 4};
  if (preset == "medium") return {128, 3, 4};
  return {256, 4, 8};
}

}  // namespace

TextConfig text_config_for(const Dataset& data, std::string_view preset) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(data.size()));
  std::iota(all.begin(), all.end(), 0);
  const std::vector<std::string> captions = data.captions(all);
  TextConfig text;
  text.tokenizer = std::make_shared<const BpeTokenizer>(BpeTokenizer::train(captions));
  std::int64_t longest = 0;
  for (const std::string& caption : captions)
    longest = std::max(longest, static_cast<std::int64_t>(text.tokenizer->encode(caption).size()));
  check_usage(longest > 0, "--condition text: every caption is empty; leave it out");
  const Widths widths = widths_of(preset);
  text.encoder = {.vocab_size = text.tokenizer->vocab_size(),
                  .hidden_size = widths.hidden,
                  .intermediate_size = 4 * widths.hidden,
                  .num_hidden_layers = widths.layers,
                  .num_attention_heads = widths.heads,
                  .max_position_embeddings = std::min(longest + 2, most_tokens)};
  return text;
}

void note_unusual(const TextConfig& text, const std::vector<std::string>& prompts) {
  std::string unseen;
  for (const std::string& prompt : prompts) {
    for (const BpeTokenizer::Unseen& word : text.tokenizer->unseen_words(prompt)) {
      std::string said = fmt::format("'{}'", shown(word.word, 40));
      for (std::size_t i = 0; i < word.near.size(); ++i)
        said += fmt::format("{} {}", i == 0 ? " (near:" : ",", shown(word.near[i], 40));
      if (!word.near.empty()) said += ")";
      if (unseen.find(said) == std::string::npos) unseen += (unseen.empty() ? "" : ", ") + said;
    }
    const auto tokens = static_cast<std::int64_t>(text.tokenizer->encode(prompt).size());
    const std::int64_t room = text.encoder.max_position_embeddings - 2;
    if (tokens > room)
      note(fmt::format("prompt '{}': {} tokens; this model takes {}, the rest is left out",
                       shown(prompt, 60), tokens, room));
  }
  if (!unseen.empty()) note("words that training never had: " + unseen);
}

}  // namespace ebb::apps
