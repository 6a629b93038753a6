// What the program shares with its terminal: data to stdout, progress and errors to stderr.
#pragma once

#include <ebb/tensor/error.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace ebb::apps {

// Arguments that cannot be meant: exit code 2, where any other Error is exit code 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

// The reader of stdout has gone, as in `ebb inspect FILE | head`: exit code 1 without a word.
struct PipeClosed {};

// Throws UsageError with the formatted message unless `ok`.
template <class... Args>
void check_usage(bool ok, fmt::format_string<Args...> message, Args&&... args) {
  if (!ok) throw UsageError(fmt::format(message, std::forward<Args>(args)...));
}

// Data, to stdout. A write that fails (a full disk) is an Error, a closed pipe PipeClosed.
void write_out(std::string_view text);
void flush_out();
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  write_out(fmt::format(format, std::forward<Args>(args)...));
}

// Text from outside (a path, a name in a file) as a terminal may have it: control characters and
// bytes that are no UTF-8 are escaped (\x1b), the middle of what is longer than `most` bytes is
// cut.
std::string shown(std::string_view text, std::size_t most = 200);

// A remark for the reader, to stderr: one line, "ebb: ...", shown (at most 4,000 bytes). Nobody
// reading it is no error.
void note(std::string_view line);

// Whether stderr is a terminal that may be drawn on: NO_COLOR unset or empty, TERM not "dumb".
bool stderr_is_terminal();

// From here on Ctrl-C, SIGTERM and SIGHUP (unless it was ignored) only set a flag, for loops that
// stop in good order when they see it. The same signal a second time ends the program at once.
void catch_interrupts();
bool interrupted();

}  // namespace ebb::apps
