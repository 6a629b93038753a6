#include "memory.h"

#include <cuda_runtime.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "emulation.h"
#include "streams.h"

namespace emulation {

namespace {

constexpr std::size_t reserved = std::size_t{1} << 36, page = 4096;

std::size_t pages(std::size_t bytes) { return (bytes + page - 1) / page; }

// Freed pages are used again for allocations of as many.
struct Arena {
  std::byte* const base = static_cast<std::byte*>(
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  std::size_t used = 0, live = 0, most = std::size_t{2} << 30;
  std::vector<std::uintptr_t> ends = std::vector<std::uintptr_t>(reserved / page >> 4);
  std::map<void*, std::size_t> sizes;
  std::multimap<std::size_t, std::byte*> free;

  std::uintptr_t& end_of(std::uintptr_t address) {
    const std::size_t index = (address - reinterpret_cast<std::uintptr_t>(base)) / page;
    if (index >= ends.size()) ends.resize(index + index / 2);
    return ends[index];
  }
};

Arena& arena() {
  static Arena* const one = new Arena;  // tensors in static variables outlive it otherwise
  return *one;
}

}  // namespace

bool in_arena(std::uintptr_t address) {
  return address - reinterpret_cast<std::uintptr_t>(arena().base) < reserved;
}

bool allocated(std::uintptr_t address, std::size_t bytes) {
  const std::size_t index = (address - reinterpret_cast<std::uintptr_t>(arena().base)) / page;
  return index < arena().ends.size() && address + bytes <= arena().ends[index];
}

void set_memory(std::size_t bytes) { arena().most = bytes; }

}  // namespace emulation

using emulation::arena;
using emulation::runtime;

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const std::lock_guard lock(runtime().mutex);
  *memory = nullptr;
  if (const cudaError_t wrong = runtime().waiting_call(); wrong != cudaSuccess) return wrong;
  ++runtime().counts.allocations;
  emulation::Arena& a = arena();
  const std::size_t count = emulation::pages(bytes);
  if (bytes > a.most - std::min(a.live, a.most)) return cudaErrorMemoryAllocation;
  std::byte* block;
  if (const auto known = a.free.find(count); known != a.free.end()) {
    block = known->second;
    a.free.erase(known);
  } else {
    if ((count + 1) * emulation::page > emulation::reserved - a.used)
      return cudaErrorMemoryAllocation;
    block = a.base + a.used;
    a.used += (count + 1) * emulation::page;  // one that stays closed
  }
  if (mprotect(block, count * emulation::page, PROT_READ | PROT_WRITE) != 0)
    return cudaErrorMemoryAllocation;
  std::memset(block, 0xff, bytes);  // no number
  const auto first = reinterpret_cast<std::uintptr_t>(block);
  for (std::size_t i = 0; i < count; ++i) a.end_of(first + i * emulation::page) = first + bytes;
  a.sizes[block] = bytes;
  a.live += bytes;
  *memory = block;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  const std::lock_guard lock(runtime().mutex);
  if (memory == nullptr) return cudaSuccess;
  emulation::Arena& a = arena();
  const auto known = a.sizes.find(memory);
  if (known == a.sizes.end()) return cudaErrorInvalidValue;
  runtime().drain_all();
  const std::size_t count = emulation::pages(known->second);
  const auto first = reinterpret_cast<std::uintptr_t>(memory);
  for (std::size_t i = 0; i < count; ++i) a.end_of(first + i * emulation::page) = 0;
  madvise(memory, count * emulation::page, MADV_DONTNEED);
  mprotect(memory, count * emulation::page, PROT_NONE);
  a.live -= known->second;
  a.free.emplace(count, static_cast<std::byte*>(memory));
  a.sizes.erase(known);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  const std::lock_guard lock(runtime().mutex);
  ++runtime().counts.allocations;
  *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard lock(runtime().mutex);
  runtime().drain_all();
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(runtime().mutex);
  *total = arena().most;
  *free = arena().most - std::min(arena().live, arena().most);
  return cudaSuccess;
}
