#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>

#include <algorithm>
#include <cmath>

namespace ebb::apps {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

std::string format_seconds(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::lround(std::clamp(seconds, 0.0, 1e9)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(std::string label, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      terminal_(stderr_is_terminal()),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_ && terminal_) std::fputc('\n', stderr);
}

double Progress::rate() const {
  const double elapsed = seconds_between(start_, Clock::now());
  return elapsed > 0 ? static_cast<double>(items_ - first_items_) / elapsed : 0;
}

void Progress::update(double fraction, std::int64_t items, std::string_view detail) {
  if (first_fraction_ < 0) {
    first_fraction_ = fraction;
    first_items_ = items;
  }
  items_ = items;
  const Clock::time_point now = Clock::now();
  if (fraction < 1 && seconds_between(last_, now) < (terminal_ ? 0.1 : 10.0)) return;
  last_ = now;
  const double moved = fraction - first_fraction_;
  const double left = moved > 0 ? seconds_between(start_, now) * (1 - fraction) / moved : 0;
  const std::string line =
      fmt::format("{} {:3.0f}%  {:.0f} {}/s  {}{}{} left", label_, 100 * fraction, rate(), unit_,
                  detail, detail.empty() ? "" : "  ", format_seconds(left));
  const std::string shown = terminal_ ? "\r\x1b[K" + line : line + "\n";
  std::fwrite(shown.data(), 1, shown.size(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace ebb::apps
