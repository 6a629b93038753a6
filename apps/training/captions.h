// Captions of a data set, and prompts of a user, for a network that is told them.
#pragma once

#include <ebb/apps/runs/run_config.h>

namespace ebb::apps {

// A tokenizer of the data set's captions, and a text encoder of `preset` (as unet2d_preset has
// them) for as many tokens as the longest has, 77 at most.
TextConfig text_config_for(const Dataset& data, std::string_view preset);

// Tells the user of each prompt's words that never occurred in training, with near ones, and of
// what finds no place. An Error for a prompt that cannot be read.
void note_unusual(const TextConfig& text, const std::vector<std::string>& prompts);

}  // namespace ebb::apps
