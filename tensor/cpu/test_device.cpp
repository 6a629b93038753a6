// Device::test: the CPU's kernels on pages that are closed while no kernel runs.
#include <ebb/tensor/backend/backend.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>

namespace ebb::test_device {

namespace {

class Pages {
 public:
  static Pages& instance() {
    static Pages* const pages = new Pages;  // tensors in static variables may outlive any order
    return *pages;
  }

  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes = (bytes + page - 1) / page * page;
    if (base_ == MAP_FAILED || bytes > reserved - used_) return nullptr;
    char* const block = static_cast<char*>(base_) + used_;
    if (open_ > 0 && mprotect(block, bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    used_ += bytes;
    return block;
  }

  void enter() {
    const std::lock_guard lock(mutex_);
    if (open_++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--open_ == 0) protect(PROT_NONE);
  }

 private:
  static constexpr std::size_t reserved = std::size_t{1} << 36;

  Pages() = default;
  void protect(int access) {
    if (used_ > 0) check(mprotect(base_, used_, access) == 0, "device test: mprotect failed");
  }

  std::mutex mutex_;
  void* const base_ =
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  std::size_t used_ = 0;
  int open_ = 0;  // kernels that run
};

std::atomic<std::int64_t> uploads{0}, downloads{0};

void* allocate(std::size_t bytes) { return Pages::instance().allocate(bytes); }
// Neither addresses nor bytes are used again: tests are short.
void release(void*) {}
void enter() { Pages::instance().enter(); }
void leave() { Pages::instance().leave(); }

void copy(void* to, const void* from, std::size_t bytes) {
  enter();
  std::memcpy(to, from, bytes);
  leave();
}
void upload(void* to, const void* from, std::size_t bytes) {
  ++uploads;
  copy(to, from, bytes);
}
void download(void* to, const void* from, std::size_t bytes) {
  ++downloads;
  copy(to, from, bytes);
}

}  // namespace

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels entries = cpu::kernels();
    entries.enter = enter;
    entries.leave = leave;
    entries.allocate = allocate;
    entries.release = release;
    entries.upload = upload;
    entries.download = download;
    entries.copy = copy;
    return entries;
  }();
  return table;
}

Copies copies() { return {uploads, downloads}; }

}  // namespace ebb::test_device
