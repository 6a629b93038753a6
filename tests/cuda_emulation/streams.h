// Queues of work, events and recorded graphs.
#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "emulation.h"

namespace emulation {

struct Stream {
  std::deque<std::function<void()>> queue;
  std::uint64_t pushed = 0, done = 0;
  Graph* recording = nullptr;

  void drain(std::uint64_t until);
};
// All that its stream had been given when it was recorded.
struct Event {
  Stream* stream = nullptr;
  std::uint64_t position = 0;
};
struct Graph {
  std::vector<std::function<void()>> work;
};

enum class Work { kernel, copy, wait };

struct Runtime {
  std::recursive_mutex mutex;
  Counts counts;
  Order order = Order::copies_late;
  std::string report;
  std::vector<Stream*> streams;

  // The error of a kernel that sinned, as every call returns it.
  cudaError_t state() const { return report.empty() ? cudaSuccess : cudaErrorLaunchFailure; }
  // An error while a stream of this process is being recorded.
  cudaError_t waiting_call() const;
  cudaError_t push(Stream& stream, Work kind, std::function<void()> work);
  void drain_all();
};
Runtime& runtime();

}  // namespace emulation
