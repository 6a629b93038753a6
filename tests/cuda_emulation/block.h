// A block of threads on one thread of the host: each of its threads is a fibre, begun only when
// those before it have ended or wait, so that a kernel that never waits is a plain loop.
#pragma once

#include <cuda_runtime.h>

#include <boost/context/detail/fcontext.hpp>
#include <memory>
#include <string>
#include <vector>

namespace emulation {

struct Launch {
  dim3 grid, block;
  std::size_t shared;
  Call call;
};

// Runs all blocks of a launch. Empty, or what a thread did wrong; then the rest is left undone.
std::string run(const Launch& launch);

constexpr std::size_t slot = 16;  // bytes that a lane brings to a meeting at most

// Lanes of one warp that meet, by their mask.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  std::uint64_t generation = 0;
  alignas(slot) std::byte values[2][32 * slot];
};
struct Warp {
  unsigned live = 0;        // lanes that have not ended
  std::uint32_t epoch = 0;  // counts __syncwarp of all of them
  std::vector<std::unique_ptr<Meeting>> meetings;
};

struct Thread {
  uint3 index;
  unsigned number, lane;
  Warp* warp;
  boost::context::detail::fcontext_t context = nullptr;
  const std::uint64_t* waits_on = nullptr;  // it goes on when this has another value than
  std::uint64_t waits_for = 0;
};

class Worker {
 public:
  Worker();
  ~Worker();

  std::string run_block(const Launch& launch, std::int64_t block);
  // Ends the block; never returns.
  [[noreturn]] void fail(const std::string& what);

  void barrier();
  // The meeting of the running thread's lanes of `mask`, and to go there and wait for them.
  Meeting& meeting(unsigned mask);
  Meeting& meet(unsigned mask);

  bool in_kernel() const { return running_ != nullptr; }
  Thread& running() { return *running_; }
  const Launch& launch() const { return *launch_; }
  uint3 block() const { return block_; }
  bool on_stack(std::uintptr_t address) const;

  // Values of the barrier's epoch: of this block from first_epoch() on.
  std::uint32_t epoch() const { return epoch_; }
  std::uint32_t first_epoch() const { return first_epoch_; }
  std::int64_t reduced[2] = {0, 0};  // __syncthreads_or, by the barrier's parity

 private:
  static void enter(boost::context::detail::transfer_t from);
  void resume(boost::context::detail::fcontext_t context);
  void suspend(const std::uint64_t& generation);
  void ended(Thread& thread);
  void* stack();

  const Launch* launch_ = nullptr;
  uint3 block_{};
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::byte* stacks_ = nullptr;  // of all fibres, side by side
  unsigned used_stacks_ = 0;
  boost::context::detail::fcontext_t scheduler_ = nullptr;
  Thread* running_ = nullptr;
  unsigned next_ = 0, finished_ = 0, arrived_ = 0;
  std::uint64_t generation_ = 0;
  std::uint32_t epoch_ = 0, first_epoch_ = 0;
  std::string failure_;
};

Worker& worker();
// Waits for the lanes of `mask`; `all` is then what lanes 0 to 31 came with, one after another.
void gather(unsigned mask, const void* mine, std::size_t bytes, void* all);
// Of a change as one by the running thread (checks.cpp).
void note_atomic(const void* address, std::size_t bytes);
std::string name_of(uint3 index);

}  // namespace emulation
