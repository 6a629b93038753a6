// Errors in tests: what is said, not only that something is.
#pragma once

#include <doctest/doctest.h>
#include <ebb/tensor/error.h>

#include <string>

namespace ebb::test {

// One check: `call` throws an Error of one line that has `words`.
template <class F>
void check_message(F&& call, const std::string& words) {
  std::string message = "no error";
  try {
    call();
  } catch (const Error& error) {
    message = error.what();
  }
  const bool right = message.find(words) != std::string::npos;
  CHECK_MESSAGE((right && message.find('\n') == std::string::npos),
                "'" << message << "' where '" << words << "' is expected");
}

}  // namespace ebb::test
