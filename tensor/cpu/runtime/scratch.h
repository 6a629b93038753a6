// Working memory of a thread, kept between calls: it only grows.
#pragma once

#include <ebb/tensor/error.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>

namespace ebb::cpu {

class ScratchBuffer {
 public:
  ScratchBuffer() = default;
  ScratchBuffer(const ScratchBuffer&) = delete;
  ScratchBuffer& operator=(const ScratchBuffer&) = delete;
  ~ScratchBuffer() { release(); }

  void* reserve(std::size_t bytes) {
    if (bytes > bytes_) {
      release();
      data_ = ::operator new(bytes, alignment, std::nothrow);
      check(data_ != nullptr,
            "scratch: no {} bytes left for a kernel; lower the batch or image size", bytes);
      bytes_ = bytes;
    }
    return data_;
  }

 private:
  static constexpr std::align_val_t alignment{64};
  void release() {
    if (data_) ::operator delete(data_, alignment);
    data_ = nullptr;
    bytes_ = 0;
  }

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// `count` uninitialised elements, aligned to 64 bytes, valid until this thread's next request
// under the same Tag. Each user has a Tag (any type) of its own, so nested kernels do not collide.
// An Error when there is no memory.
template <class Tag, class T>
T* scratch(std::int64_t count) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / sizeof(T) - 64;
  check(count <= most, "scratch: {} elements are more than memory can hold", count);
  thread_local ScratchBuffer buffer;
  return static_cast<T*>(buffer.reserve(static_cast<std::size_t>(count) * sizeof(T) + 64));
}

}  // namespace ebb::cpu
