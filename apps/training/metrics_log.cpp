#include <ebb/apps/training/metrics_log.h>

#include <algorithm>

namespace ebb::apps {

void MetricsLog::add(const StepReport& report, std::int64_t images) {
  loss_ += report.loss;
  grad_norm_ += report.grad_norm;
  learning_rate_ = report.learning_rate;
  images_ += images;
  ++steps_;
}

void MetricsLog::write(std::int64_t step, double seconds) {
  if (steps_ == 0) return;
  const double steps = static_cast<double>(steps_), images = static_cast<double>(images_);
  shown_loss_ = loss_ / steps;
  run_.append_metrics({{"step", step},
                       {"loss", shown_loss_},
                       {"grad_norm", grad_norm_ / steps},
                       {"learning_rate", learning_rate_},
                       {"images_per_second", images / std::max(seconds - last_seconds_, 1e-9)},
                       {"seconds", seconds}});
  loss_ = grad_norm_ = 0;
  images_ = steps_ = 0;
  last_seconds_ = seconds;
}

}  // namespace ebb::apps
