#include <ebb/apps/system/console.h>
#include <unistd.h>

#include <algorithm>
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

// Bytes of the printable character that `text` begins with; 0 if it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const std::size_t length = byte(0) >= 0xf0 && byte(0) <= 0xf4  ? 4
                             : byte(0) >= 0xe0 && byte(0) < 0xf0 ? 3
                             : byte(0) >= 0xc2 && byte(0) < 0xe0 ? 2
                                                                 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // C1 controls; and what is too long or a surrogate.
  if (length == 2 && byte(0) == 0xc2 && byte(1) < 0xa0) return 0;
  if ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) >= 0xa0) ||
      (byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) >= 0x90))
    return 0;
  return length;
}

}  // namespace

void write_out(std::string_view text) {
  check_out(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

void flush_out() { check_out(std::fflush(stdout) == 0 && !std::ferror(stdout)); }

std::string shown(std::string_view text, std::size_t most) {
  std::string cut(text);
  if (text.size() > most)
    cut = fmt::format("{}...({} bytes)...{}", text.substr(0, most / 2), text.size(),
                      text.substr(text.size() - most / 4));
  std::string result;
  for (std::size_t i = 0; i < cut.size();) {
    const std::size_t length = utf8_length(std::string_view(cut).substr(i));
    if (length > 0)
      result.append(cut, i, length);
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(cut[i]));
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

void note(std::string_view line) {
  const std::string text = fmt::format("ebb: {}\n", shown(line, 4000));
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
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup stays so
  }
}

bool interrupted() { return interrupt_seen != 0; }

}  // namespace ebb::apps
