#include <ebb/tensor/cpu/runtime/team.h>
#include <ebb/tensor/float_state.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>

#include <chrono>

namespace ebb::cpu {

namespace {

using Clock = std::chrono::steady_clock;

// How long a helper looks for the next job before it sleeps: longer than most of what lies between
// two kernels, since waking a thread takes as long as a small kernel. A helper that looks on takes
// time that the system counts against it when another program wants the processor.
constexpr std::chrono::microseconds look_for_job{50};
// The caller sleeps soon: where a helper was stopped by the system, an idle processor takes it
// over.
constexpr std::chrono::microseconds look_for_end{20};

void pause() {
#if defined(__SSE2__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Returns when `value` is no longer `old`.
void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old,
                     std::chrono::microseconds look) {
  const Clock::time_point end = Clock::now() + look;
  do {
    for (int i = 0; i < 16; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  } while (Clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

// Never destroyed: helpers outlive static variables.
std::atomic<Team*>& current() {
  static std::atomic<Team*> team = [] {
    pthread_atfork(nullptr, nullptr, [] { current() = new Team; });
    return new Team;
  }();
  return team;
}

}  // namespace

void Job::help() {
  for (;;) {
    const std::int64_t block = next.fetch_add(1, std::memory_order_relaxed);
    if (block >= blocks) return;
    try {
      run(work, block);
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      next.store(blocks, std::memory_order_relaxed);
    }
  }
}

Team& team() { return *current(); }

bool Team::run(Job& job) {
  const std::unique_lock lock(busy_, std::try_to_lock);
  if (!lock) return false;
  if (helpers_ < job.helpers) {
    stop();
    start(job.helpers);
  }
  job_ = &job;
  gate_.store(open, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  job.help();
  gate_.fetch_and(~open, std::memory_order_acq_rel);
  for (std::uint32_t inside; (inside = gate_.load(std::memory_order_acquire)) != 0;)
    wait_for_change(gate_, inside, look_for_end);
  return true;
}

void Team::start(int helpers) {
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    leader_ = std::thread([helpers] {
#pragma omp parallel num_threads(helpers)
      wait_for_jobs();
    });
    helpers_ = helpers;
  } catch (const std::system_error&) {
    helpers_ = 0;  // the system gives no thread: the caller does all
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Team::stop() {
  if (!leader_.joinable()) return;
  ending_ = true;
  generation_.fetch_add(1);
  generation_.notify_all();
  leader_.join();
  ending_ = false;
}

// Captures nothing, since ThreadSanitizer does not see how OpenMP hands over what a region
// captures.
void Team::wait_for_jobs() {
  Team& team = *current();
  const int index = omp_get_thread_num();
  omp_set_num_threads(1);  // for OpenBLAS, which asks how many threads it may start
  const FloatState state;
  // A job that was posted before is looked at too.
  std::uint32_t seen = team.generation_.load(std::memory_order_acquire) - 1;
  for (;;) {
    wait_for_change(team.generation_, seen, look_for_job);
    seen = team.generation_.load(std::memory_order_acquire);
    if (team.ending_) return;
    if (!team.enter()) continue;
    if (index < team.job_->helpers) team.job_->help();
    team.leave();
  }
}

bool Team::enter() {
  std::uint32_t gate = gate_.load(std::memory_order_acquire);
  while (gate & open)
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) return true;
  return false;
}

void Team::leave() {
  if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) gate_.notify_one();
}

}  // namespace ebb::cpu
