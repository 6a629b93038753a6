// Threads that wait for work: started by OpenMP once, on the first use, and shared by every caller
// of parallel_for.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

namespace ebb::cpu {

// Blocks of work that threads take one by one.
struct Job {
  std::int64_t blocks;
  void (*run)(const void* work, std::int64_t block);
  const void* work;
  int helpers;  // threads of the team that take part
  std::atomic<std::int64_t> next{0};
  std::mutex error_mutex{};
  std::exception_ptr error{};  // the first one

  // Takes blocks until none is left or one has failed.
  void help();
};

class Team {
 public:
  // Does all of `job` with the calling thread and job.helpers others; false, with nothing done, if
  // another thread is being served.
  bool run(Job& job);

 private:
  static constexpr std::uint32_t open = std::uint32_t{1} << 31;

  void start(int helpers);
  void stop();
  static void wait_for_jobs();
  bool enter();
  void leave();

  std::mutex busy_;  // held while a caller is served
  std::thread leader_;
  int helpers_ = 0;
  std::atomic<bool> ending_{false};
  // Counts jobs; helpers sleep until it changes.
  std::atomic<std::uint32_t> generation_{0};
  // The number of helpers at work on job_, and whether more may begin.
  std::atomic<std::uint32_t> gate_{0};
  Job* job_ = nullptr;
};

// The team of this process; a child made by fork() starts one of its own.
Team& team();

}  // namespace ebb::cpu
