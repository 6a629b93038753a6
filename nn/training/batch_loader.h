// Batches made ahead of the steps that take them, by a thread of its own, and brought to the device
// while it works.
#pragma once

#include <ebb/nn/training/trainer.h>
#include <ebb/tensor/backend/async_copy.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace ebb {

class BatchLoader {
 public:
  // make(step) is called by the loader's thread alone, one step after another, at most `ahead`
  // steps before they are asked for: so many batches are in memory beside the one in use. They are
  // those that make gives, whatever the timing.
  using Make = std::function<Batch(std::int64_t step)>;
  static constexpr std::int64_t usual_ahead = 1;
  explicit BatchLoader(Make make, Device device = Device::cpu, std::int64_t ahead = usual_ahead);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The batch of `step`, on the device. Steps are asked for in order but for jumps, which cost the
  // batches made ahead. What make threw for a step is thrown here when that step is asked for, each
  // time.
  Batch batch(std::int64_t step);

 private:
  struct Made {
    std::int64_t step;
    Batch batch;
    std::exception_ptr error;
    std::vector<AsyncCopy> copies;  // of the batch
  };
  void run();
  Made made(std::int64_t step) const;

  const Make make_;
  const Device device_;
  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Made> ready_;
  std::vector<AsyncCopy> last_;  // of the batch given last
  std::int64_t next_ = -1;       // the step to make next; -1: none yet
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace ebb
