#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/storage.h>

#include <mutex>
#include <unordered_map>
#include <vector>

namespace ebb {

namespace {

// Requests are rounded up to eight steps an octave: at most 1/8 is wasted, and shapes that differ
// a little share blocks.
std::size_t size_class(std::size_t bytes) {
  std::size_t step = Storage::alignment;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

class Cache {
 public:
  explicit Cache(Device device) : device_(device) {}

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
    void* block = kernels(device_).allocate(bytes);
    if (block == nullptr && statistics_.bytes_cached > 0) {
      release_locked();
      block = kernels(device_).allocate(bytes);
    }
    check(block != nullptr,
          "allocate: no {} bytes left on device {}; {} are in use: lower the "
          "batch or image size",
          bytes, device_, statistics_.bytes_live);
    return block;
  }

  void release_locked() {
    for (auto& [bytes, blocks] : free_)
      for (void* block : blocks) kernels(device_).release(block);
    free_.clear();
    statistics_.bytes_cached = 0;
  }

  const Device device_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  StorageStatistics statistics_;
};

// Never destroyed: tensors in static variables may outlive any order of destruction.
Cache& cache(Device device) {
  static Cache* const caches[] = {new Cache(Device::cpu), new Cache(Device::cuda),
                                  new Cache(Device::test), new Cache(Device::reference)};
  return *caches[static_cast<std::size_t>(device)];
}

}  // namespace

std::uint64_t Storage::next_id() {
  static std::atomic<std::uint64_t> id{0};
  return ++id;
}

std::shared_ptr<Storage> Storage::allocate(Device device, std::size_t bytes) {
  kernels(device);  // an absent device is an error even for zero bytes
  void* data = bytes == 0 ? nullptr : cache(device).take(size_class(bytes));
  return std::shared_ptr<Storage>(new Storage(device, bytes, data));
}

Storage::~Storage() {
  if (data_ != nullptr) cache(device_).give(data_, size_class(bytes_));
}

StorageStatistics storage_statistics(Device device) { return cache(device).statistics(); }

void release_cached_storage(Device device) { cache(device).release(); }

}  // namespace ebb
