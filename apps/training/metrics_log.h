// What a training loop tells metrics.jsonl.
#pragma once

#include <ebb/apps/runs/run_folder.h>

#include <chrono>

namespace ebb::apps {

// Seconds of training: those of earlier sittings and of this one.
class Stopwatch {
 public:
  explicit Stopwatch(double before) : before_(before) {}
  double seconds() const {
    return before_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  double before_;
  Clock::time_point start_ = Clock::now();
};

// Sums what was reported since the last line of metrics.jsonl.
class MetricsLog {
 public:
  // `run` must outlive it; `seconds` of training have passed.
  MetricsLog(const RunFolder& run, double seconds) : run_(run), last_seconds_(seconds) {}

  void add(const StepReport& report, std::int64_t images);
  // The means as a line; nothing if there is nothing new.
  void write(std::int64_t step, double seconds);
  // The loss of the last line, or `otherwise` before the first.
  double shown_loss(double otherwise) const { return shown_loss_ > 0 ? shown_loss_ : otherwise; }

 private:
  const RunFolder& run_;
  double last_seconds_;
  double loss_ = 0, grad_norm_ = 0, learning_rate_ = 0, shown_loss_ = 0;
  std::int64_t images_ = 0, steps_ = 0;
};

}  // namespace ebb::apps
