// How far a long job is: on a terminal one line that is redrawn, elsewhere a line now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ebb::apps {

class Progress {
 public:
  // "train  1200/9000 steps  13%  362 images/s  LOSS  1:23 left": `unit` is "images".
  Progress(std::string label, std::string unit);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `fraction` of the job is done, and `items` units by now; `detail` is shown as it is.
  void update(double fraction, std::int64_t items, std::string_view detail = {});
  // Units a second since the start.
  double rate() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_, unit_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
  double first_fraction_ = -1;
  std::int64_t first_items_ = 0, items_ = 0;
};

// 83 to "1:23", 3723 to "1:02:03".
std::string format_seconds(double seconds);

}  // namespace ebb::apps
