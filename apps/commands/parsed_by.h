// A flag's text is what a parser of the library takes.
#pragma once

#include <ebb/tensor/error.h>

#include <CLI/CLI.hpp>
#include <string>

namespace ebb::apps {

// What `parse` says of a text that it refuses is what the user reads.
template <class Parse>
CLI::Validator parsed_by(const Parse& parse) {
  const auto reason = [parse](const std::string& text) -> std::string {
    try {
      parse(text);
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  };
  return CLI::Validator(reason, "");
}

}  // namespace ebb::apps
