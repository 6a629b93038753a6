#include <ebb/apps/console.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

namespace ebb::apps {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

void check_out(bool ok) {
  if (ok) return;
  if (errno == EPIPE) throw PipeClosed();
  fail("cannot write to stdout: {}; free space or send it elsewhere", std::strerror(errno));
}

}  // namespace

void write_out(std::string_view text) {
  check_out(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

void flush_out() { check_out(std::fflush(stdout) == 0 && !std::ferror(stdout)); }

void note(std::string_view line) {
  const std::string text = fmt::format("ebb: {}\n", line);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

bool stderr_is_terminal() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) && (!no_color || !*no_color) &&
         (!term || std::string_view(term) != "dumb");
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupt_seen = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_seen != 0; }

}  // namespace ebb::apps
