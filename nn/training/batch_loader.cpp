#include <ebb/nn/training/batch_loader.h>

namespace ebb {

BatchLoader::BatchLoader(Make make, Device device, std::int64_t ahead)
    : make_(std::move(make)), device_(device), ahead_(static_cast<std::size_t>(ahead)) {
  check(ahead >= 1, "BatchLoader: {} batches ahead; give 1 or more", ahead);
  thread_ = std::thread([this] { run(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Batch BatchLoader::batch(std::int64_t step) {
  std::unique_lock lock(mutex_);
  // A jump: what was made ahead is of no use.
  const bool follows = ready_.empty() ? next_ == step : ready_.front().step == step;
  if (!follows) {
    ready_.clear();
    next_ = step;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return !ready_.empty() && ready_.front().step == step; });
  Made made = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  if (made.error) std::rethrow_exception(made.error);
  last_ = std::move(made.copies);
  for (AsyncCopy& copy : last_) copy.wait();
  return made.batch;
}

BatchLoader::Made BatchLoader::made(std::int64_t step) const {
  try {
    Made result{step, make_(step), nullptr, {}};
    if (device_ != Device::cpu)
      result.batch = result.batch.each([&](const Tensor& tensor) {
        return result.copies.emplace_back(tensor, device_).result();
      });
    return result;
  } catch (...) {
    return {step, {}, std::current_exception(), {}};
  }
}

void BatchLoader::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || (next_ >= 0 && ready_.size() < ahead_); });
    if (ending_) return;
    const std::int64_t step = next_;
    lock.unlock();
    Made next = made(step);
    lock.lock();
    if (next_ != step) continue;  // a jump came meanwhile
    ++next_;
    ready_.push_back(std::move(next));
    changed_.notify_all();
  }
}

}  // namespace ebb
