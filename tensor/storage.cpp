#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/storage.h>

#include <mutex>
#include <unordered_map>
#include <vector>

namespace ebb {

namespace {

std::atomic<bool> caching{true};

// Requests are rounded up to eight steps an octave: at most 1/8 is wasted, and shapes that differ
// a little share blocks.
std::size_t size_class(std::size_t bytes) {
  std::size_t step = Storage::alignment;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

// Free blocks by size class, of a device's memory or of memory pinned for it.
class StorageCache {
 public:
  StorageCache(Device device, bool pinned) : device_(device), pinned_(pinned) {}

  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    ++statistics_.requests;
    std::vector<void*>& blocks = free_[bytes];
    void* block;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      statistics_.bytes_cached -= bytes;
    } else {
      block = allocate(bytes);
    }
    statistics_.bytes_live += bytes;
    statistics_.bytes_peak = std::max(statistics_.bytes_peak, statistics_.bytes_live);
    return block;
  }

  void give(void* block, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[bytes].push_back(block);
    statistics_.bytes_live -= bytes;
    statistics_.bytes_cached += bytes;
    if (!caching) release_locked();
  }

  void release() {
    const std::lock_guard lock(mutex_);
    release_locked();
  }

  StorageStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  void* allocate(std::size_t bytes) {
    ++statistics_.system_allocations;
    const Kernels& table = kernels(device_);
    const auto entry = pinned_ ? table.allocate_pinned : table.allocate;
    void* block = entry(device_.index, bytes);
    if (block == nullptr && statistics_.bytes_cached > 0) {
      release_locked();
      block = entry(device_.index, bytes);
    }
    check(block != nullptr,
          "allocate: no {} bytes left on device {}; {} are in use: lower the "
          "batch or image size",
          bytes, device_, statistics_.bytes_live);
    return block;
  }

  void release_locked() {
    if (free_.empty()) return;
    const Kernels& table = kernels(device_);
    for (auto& [bytes, blocks] : free_)
      for (void* block : blocks)
        (pinned_ ? table.release_pinned : table.release)(device_.index, block, bytes);
    free_.clear();
    statistics_.bytes_cached = 0;
  }

  const Device device_;
  const bool pinned_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  StorageStatistics statistics_;
};

namespace {

// Never destroyed: tensors in static variables may outlive any order of destruction.
StorageCache& cache(Device device, bool pinned = false) {
  static const std::vector<StorageCache*>& caches = *[] {
    auto* const all = new std::vector<StorageCache*>;
    for (int i = 0; i < Device::kinds * Device::most; ++i)
      for (const bool of_pinned : {false, true})
        all->push_back(new StorageCache({static_cast<Device::Kind>(i / Device::most),
                                         static_cast<std::uint8_t>(i % Device::most)},
                                        of_pinned));
    return all;
  }();
  const int place = (device.kind * Device::most + device.index) * 2 + (pinned ? 1 : 0);
  return *caches[static_cast<std::size_t>(place)];
}

}  // namespace

std::uint64_t Storage::next_id() {
  static std::atomic<std::uint64_t> id{0};
  return ++id;
}

std::shared_ptr<Storage> Storage::allocate(Device device, std::size_t bytes) {
  kernels(device);  // an absent device is an error even for zero bytes
  return std::shared_ptr<Storage>(new Storage(device, bytes, &cache(device)));
}

std::shared_ptr<Storage> Storage::allocate_pinned(Device device, std::size_t bytes) {
  if (kernels(device).allocate_pinned == nullptr) return allocate(Device::cpu, bytes);
  return std::shared_ptr<Storage>(new Storage(Device::cpu, bytes, &cache(device, true)));
}

Storage::Storage(Device device, std::size_t bytes, StorageCache* cache)
    : block_(caching || device == Device::cpu ? size_class(bytes) : bytes),
      data_(bytes == 0 ? nullptr : cache->take(block_)),
      bytes_(bytes),
      device_(device),
      cache_(cache) {}

Storage::~Storage() {
  if (data_ != nullptr) cache_->give(data_, block_);
}

StorageStatistics storage_statistics(Device device) { return cache(device).statistics(); }

void set_storage_caching(bool on) { caching = on; }

void release_cached_storage(Device device) {
  cache(device).release();
  cache(device, true).release();
}

}  // namespace ebb
