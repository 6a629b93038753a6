// Device::test: the CPU's kernels on pages that are closed while no kernel of theirs runs. Copies
// that do not wait are made as late as they may.
#include <ebb/tensor/backend/backend.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace ebb::test_device {

namespace {

constexpr int devices = 2;

class Pages {
 public:
  static Pages& of(int index) {
    // Tensors in static variables may outlive any order of destruction.
    static Pages* const pages = new Pages[devices];
    return pages[index];
  }

  Pages() = default;

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

void* allocate(int index, std::size_t bytes) { return Pages::of(index).allocate(bytes); }
// Neither addresses nor bytes are used again: tests are short.
void release(int, void*, std::size_t) {}
void enter(int index) { Pages::of(index).enter(); }
void leave(int index) { Pages::of(index).leave(); }

void copy(int index, void* to, const void* from, std::size_t bytes) {
  enter(index);
  std::memcpy(to, from, bytes);
  leave(index);
}
void upload(int index, void* to, const void* from, std::size_t bytes) {
  ++uploads;
  copy(index, to, from, bytes);
}
void download(int index, void* to, const void* from, std::size_t bytes) {
  ++downloads;
  copy(index, to, from, bytes);
}

void* allocate_pinned(int, std::size_t bytes) {
  return std::aligned_alloc(Storage::alignment, bytes);
}
void release_pinned(int, void* memory, std::size_t) { std::free(memory); }

struct Event {
  void* to;
  const void* from;
  std::size_t bytes;
  bool done = false;
};
void* start_upload(int, void* to, const void* from, std::size_t bytes) {
  ++uploads;
  return new Event{to, from, bytes};
}
void* start_download(int, void* to, const void* from, std::size_t bytes) {
  ++downloads;
  return new Event{to, from, bytes};
}
void follow(int index, void* event) {
  Event& e = *static_cast<Event*>(event);
  if (!e.done) copy(index, e.to, e.from, e.bytes);
  e.done = true;
}
void finish(int index, void* event) {
  follow(index, event);
  delete static_cast<Event*>(event);
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
    entries.devices = devices;
    entries.allocate_pinned = allocate_pinned;
    entries.release_pinned = release_pinned;
    entries.start_upload = start_upload;
    entries.start_download = start_download;
    entries.follow = follow;
    entries.finish = finish;
    return entries;
  }();
  return table;
}

Copies copies() { return {uploads, downloads}; }

}  // namespace ebb::test_device
