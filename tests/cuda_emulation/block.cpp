#include "block.h"

#include <ebb/tensor/cpu/runtime/parallel.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <mutex>

namespace emulation {

namespace {

using namespace boost::context::detail;

constexpr std::size_t stack_bytes = 64 << 10, most_threads = 1024;
// A launch of fewer threads runs on the caller alone.
constexpr std::int64_t few_threads = 512;

}  // namespace

std::string name_of(uint3 index) { return fmt::format("({}, {}, {})", index.x, index.y, index.z); }

Worker& worker() {
  static thread_local Worker* pointer = nullptr;  // quicker to reach than what has a destructor
  if (pointer == nullptr) {
    thread_local Worker one;
    pointer = &one;
  }
  return *pointer;
}

Worker::Worker()
    : stacks_(
          static_cast<std::byte*>(mmap(nullptr, stack_bytes * most_threads, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
Worker::~Worker() { munmap(stacks_, stack_bytes * most_threads); }

bool Worker::on_stack(std::uintptr_t address) const {
  return address - reinterpret_cast<std::uintptr_t>(stacks_) < stack_bytes * most_threads;
}

void* Worker::stack() { return stacks_ + stack_bytes * ++used_stacks_; }  // they grow downwards

void Worker::enter(transfer_t from) {
  Worker& w = worker();
  w.scheduler_ = from.fctx;
  while (w.next_ < w.threads_.size()) {
    w.running_ = &w.threads_[w.next_++];
    w.launch_->call.run(w.launch_->call.call.get());
    w.ended(*w.running_);
  }
  jump_fcontext(w.scheduler_, nullptr);
}

void Worker::resume(fcontext_t context) {
  const fcontext_t left = jump_fcontext(context, nullptr).fctx;
  if (running_ != nullptr) running_->context = left;
  running_ = nullptr;
}

void Worker::suspend(const std::uint64_t& generation) {
  Thread& self = *running_;
  self.waits_on = &generation;
  self.waits_for = generation;
  scheduler_ = jump_fcontext(scheduler_, nullptr).fctx;
  running_ = &self;
}

void Worker::fail(const std::string& what) {
  failure_ =
      fmt::format("thread {} of block {} {}", name_of(running_->index), name_of(block_), what);
  jump_fcontext(scheduler_, nullptr);
  __builtin_unreachable();
}

void Worker::ended(Thread& thread) {
  ++finished_;
  if (arrived_ > 0) fail("ended while others wait at __syncthreads");
  thread.warp->live &= ~(1u << thread.lane);
  for (const auto& meeting : thread.warp->meetings)
    if (meeting->arrived != 0 && meeting->arrived == (meeting->mask & thread.warp->live)) {
      meeting->arrived = 0;
      ++meeting->generation;
    }
  thread.waits_on = nullptr;
}

void Worker::barrier() {
  if (finished_ > 0) fail("waits at __syncthreads, which others passed by to their end");
  if (++arrived_ < threads_.size()) return suspend(generation_);
  arrived_ = 0;
  ++generation_;
  ++epoch_;
  reduced[epoch_ % 2] = 0;
}

Meeting& Worker::meeting(unsigned mask) {
  Warp& warp = *running_->warp;
  if ((mask >> running_->lane & 1) == 0) fail("meets lanes of a mask without its own");
  for (const auto& known : warp.meetings)
    if (known->mask == mask) return *known;
  warp.meetings.push_back(std::make_unique<Meeting>());
  warp.meetings.back()->mask = mask;
  return *warp.meetings.back();
}

Meeting& Worker::meet(unsigned mask) {
  Meeting& at = meeting(mask);
  at.arrived |= 1u << running_->lane;
  if (at.arrived != (mask & running_->warp->live)) {
    suspend(at.generation);
  } else {
    at.arrived = 0;
    ++at.generation;
  }
  return at;
}

std::string Worker::run_block(const Launch& launch, std::int64_t block) {
  const dim3 size = launch.block;
  const std::int64_t count = std::int64_t{size.x} * size.y * size.z;
  launch_ = &launch;
  block_ = {static_cast<unsigned>(block % launch.grid.x),
            static_cast<unsigned>(block / launch.grid.x % launch.grid.y),
            static_cast<unsigned>(block / launch.grid.x / launch.grid.y)};
  if (warps_.size() < static_cast<std::size_t>((count + 31) / 32))
    warps_.resize(static_cast<std::size_t>((count + 31) / 32));
  threads_.assign(static_cast<std::size_t>(count), {});
  for (std::int64_t i = 0; i < count; ++i) {
    Thread& t = threads_[static_cast<std::size_t>(i)];
    t.index = {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
               static_cast<unsigned>(i / size.x / size.y)};
    t.number = static_cast<unsigned>(i);
    t.lane = t.number % 32;
    t.warp = &warps_[t.number / 32];
    if (t.lane == 0) {
      const std::int64_t lanes = std::min<std::int64_t>(32, count - i);
      *t.warp = {lanes == 32 ? ~0u : (1u << lanes) - 1, 0, {}};
    }
  }
  next_ = finished_ = arrived_ = used_stacks_ = 0;
  first_epoch_ = ++epoch_;
  reduced[0] = reduced[1] = 0;
  failure_.clear();
  while (failure_.empty() && finished_ < threads_.size()) {
    bool moved = false;
    while (failure_.empty() && next_ < threads_.size()) {
      moved = true;
      resume(make_fcontext(stack(), stack_bytes, enter));
    }
    for (std::size_t i = 0; failure_.empty() && i < threads_.size(); ++i) {
      Thread& t = threads_[i];
      if (t.waits_on == nullptr || *t.waits_on == t.waits_for) continue;
      moved = true;
      t.waits_on = nullptr;
      resume(t.context);
    }
    if (!moved)
      failure_ = fmt::format("block {}: its threads wait for each other at different places",
                             name_of(block_));
  }
  running_ = nullptr;
  launch_ = nullptr;
  return failure_;
}

std::string run(const Launch& launch) {
  const std::int64_t blocks = std::int64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const std::int64_t threads = std::int64_t{launch.block.x} * launch.block.y * launch.block.z;
  const std::int64_t together = std::max<std::int64_t>(1, few_threads / threads);
  std::mutex mutex;
  std::atomic<bool> failed{false};
  std::string failure;
  ebb::cpu::parallel_for(blocks, together, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end && !failed; ++i) {
      const std::string wrong = worker().run_block(launch, i);
      if (wrong.empty()) continue;
      const std::lock_guard lock(mutex);
      failed = true;
      failure = wrong;
    }
  });
  return failure;
}

uint3 thread_index() { return worker().running().index; }
uint3 block_index() { return worker().block(); }
dim3 block_size() { return worker().launch().block; }
dim3 grid_size() { return worker().launch().grid; }
unsigned lane() { return worker().running().lane; }

namespace {

// What all lanes of `mask` come with: a lane's bytes are at `slot` times its number.
const std::byte* meet_with(unsigned mask, const void* mine, std::size_t bytes) {
  Worker& w = worker();
  Meeting& meeting = w.meeting(mask);
  // Two sets of places in turns: a lane may be one meeting ahead of another, never two.
  std::byte* const values = meeting.values[meeting.generation % 2];
  if (bytes > slot) w.fail("exchanges more than 16 bytes at once");
  std::memcpy(values + slot * w.running().lane, mine, bytes);
  w.meet(mask);
  return values;
}

}  // namespace

void exchange(unsigned mask, const void* mine, std::size_t bytes, unsigned source, void* result) {
  std::memcpy(result, meet_with(mask, mine, bytes) + slot * source, bytes);
}

void gather(unsigned mask, const void* mine, std::size_t bytes, void* all) {
  const std::byte* const values = meet_with(mask, mine, bytes);
  for (std::size_t lane = 0; lane < 32; ++lane)
    std::memcpy(static_cast<std::byte*>(all) + bytes * lane, values + slot * lane, bytes);
}

template <class Word>
Word atomic_load(const Word* address) {
  note_atomic(address, sizeof(Word));
  return __atomic_load_n(address, __ATOMIC_RELAXED);
}
template <class Word>
bool atomic_swap(Word* address, Word old, Word changed) {
  return __atomic_compare_exchange_n(address, &old, changed, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED);
}
template std::uint32_t atomic_load(const std::uint32_t*);
template std::uint64_t atomic_load(const std::uint64_t*);
template bool atomic_swap(std::uint32_t*, std::uint32_t, std::uint32_t);
template bool atomic_swap(std::uint64_t*, std::uint64_t, std::uint64_t);

}  // namespace emulation

void __syncthreads() { emulation::worker().barrier(); }

int __syncthreads_or(int predicate) {
  emulation::Worker& w = emulation::worker();
  std::int64_t& any = w.reduced[w.epoch() % 2];
  any |= predicate != 0 ? 1 : 0;
  w.barrier();
  return static_cast<int>(any);
}

void __syncwarp(unsigned mask) {
  emulation::Worker& w = emulation::worker();
  const std::uint64_t before = w.meet(mask).generation;
  w.running().warp->epoch = static_cast<std::uint32_t>(before);
}

unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned own = predicate != 0 ? 1u << emulation::lane() : 0;
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0) result |= __shfl_sync(mask, own, lane);
  return result;
}

void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
