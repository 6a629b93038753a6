// Reference-counted device memory, aligned to 64 bytes, cached by size.
//
// A fresh 33 MB buffer costs more in page faults than the kernel that fills it, so released
// blocks are kept and handed out again for requests of the same size class. A training step that
// repeats its shapes therefore reaches the system's allocator only the first time.
#pragma once

#include <ebb/tensor/device.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ebb {

class StorageCache;

class Storage {
 public:
  static constexpr std::size_t alignment = 64;

  // Uninitialised memory. Zero bytes is legal (data() is then null).
  static std::shared_ptr<Storage> allocate(Device device, std::size_t bytes);
  // The host's memory, pinned for copies to and from `device` where it knows such.
  static std::shared_ptr<Storage> allocate_pinned(Device device, std::size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  // No other Storage of this process has, had or will have the same; not 0.
  std::uint64_t id() const { return id_; }

  // Counts the in-place changes, so that autograd can tell that a saved value is no longer what
  // it was.
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  static std::uint64_t next_id();
  Storage(Device device, std::size_t bytes, StorageCache* cache);

  std::size_t block_;  // bytes that were taken
  void* data_;
  std::size_t bytes_;
  Device device_;
  StorageCache* cache_;  // the block came from there and goes back; null for no bytes
  std::atomic<std::uint64_t> version_{0};
  const std::uint64_t id_ = next_id();
};

// What the cache of a device has done so far.
struct StorageStatistics {
  std::uint64_t system_allocations = 0;  // requests the cache could not serve
  std::uint64_t requests = 0;
  std::size_t bytes_live = 0;    // held by tensors
  std::size_t bytes_cached = 0;  // kept for reuse
  std::size_t bytes_peak = 0;    // highest value of bytes_live
};
StorageStatistics storage_statistics(Device device);

// Gives the cached blocks of a device back to the system.
void release_cached_storage(Device device);
// While off, memory comes from the system in the size asked for and goes back there: for tools that
// look for accesses beyond it. On at the start.
void set_storage_caching(bool on);

}  // namespace ebb
