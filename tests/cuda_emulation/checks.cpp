// What kernels may not do. A file compiled with -fsanitize=thread calls the functions below before
// each access to memory; the sanitizer's own are not linked.
//
//   shared memory   read before anybody in the block wrote it; read or written where another thread
//                   wrote or read it with no barrier between; beyond what the launch asked for
//   global memory   beyond an allocation of cudaMalloc's
//   both            an address that is no multiple of what is read or written there
//   anything else   the host's memory, which a GPU cannot reach
#include <fmt/format.h>
#include <link.h>

#include <vector>

#include "block.h"
#include "memory.h"

namespace ebb::cuda {
// What `extern __shared__` names (tensor/cuda/launch.h).
alignas(128) thread_local unsigned char shared_bytes[227 << 10];
}  // namespace ebb::cuda

extern char __executable_start, end;  // the program's image, by the linker

namespace emulation {

namespace {

constexpr std::size_t granule = 2;  // bytes that are looked after together
constexpr std::uint16_t nobody = 0xffff, several = 0xfffe, by_atomic = 0xfffd;
constexpr std::uint16_t of_warp = 0x8000;  // with a warp's number: several of its threads

// Who wrote and who read a granule last, and when: by the epochs of barriers, and of its warp.
struct Access {
  std::uint32_t epoch = 0, warp_epoch = 0;
  std::uint16_t thread = nobody;
};
struct Cell {
  Access write, read;
};

// The variables of a thread of the host that are thread_local, among them all that are __shared__.
struct SharedMemory {
  std::uintptr_t begin = 0;
  std::vector<Cell> cells;

  SharedMemory() {
    struct Segment {
      std::size_t size, align;
    } tls{};
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* result) {
          for (int i = 0; i < info->dlpi_phnum; ++i)
            if (info->dlpi_phdr[i].p_type == PT_TLS)
              *static_cast<Segment*>(result) = {info->dlpi_phdr[i].p_memsz,
                                                info->dlpi_phdr[i].p_align};
          return 1;  // the program comes first; its libraries have no kernels
        },
        &tls);
    const std::size_t size = (tls.size + tls.align - 1) / tls.align * tls.align;
    begin = reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer()) - size;
    cells.resize(size / granule + 1);
  }
};

SharedMemory& shared() {
  static thread_local SharedMemory* pointer = nullptr;
  if (pointer == nullptr) {
    thread_local SharedMemory one;
    pointer = &one;
  }
  return *pointer;
}

// Whether nothing orders `access` before what the running thread does now.
bool races(const Access& access, const Worker& w, const Thread& self) {
  if (access.epoch != w.epoch() || access.thread == nobody || access.thread == self.number)
    return false;
  if (access.thread == several || access.thread == by_atomic) return true;
  const bool lanes = (access.thread & of_warp) != 0;
  const unsigned warp = lanes ? access.thread & ~of_warp : access.thread / 32u;
  const bool same_warp = warp == self.number / 32;
  return !same_warp || access.warp_epoch == self.warp->epoch;
}

// What to remember of two reads.
Access both_read(const Access& before, const Access& now) {
  if (before.epoch != now.epoch || before.thread == now.thread) return now;
  const auto warp = static_cast<std::uint16_t>(now.thread / 32);
  const bool lanes = before.thread < by_atomic && (before.thread & of_warp) != 0;
  const bool same_warp = lanes ? before.thread == (of_warp | warp)
                               : before.thread < by_atomic && before.thread / 32 == warp;
  if (!same_warp) return {now.epoch, now.warp_epoch, several};
  // An earlier read of the warp is before a barrier of its own that came since.
  if (before.warp_epoch != now.warp_epoch) return now;
  return {now.epoch, now.warp_epoch, static_cast<std::uint16_t>(of_warp | warp)};
}

std::string thread_of(const Access& access) {
  return access.thread == several || (access.thread < by_atomic && (access.thread & of_warp) != 0)
             ? "several others"
         : access.thread == by_atomic ? "others, atomically,"
                                      : fmt::format("thread {}", access.thread);
}

enum class Kind { read, write, atomic };

void visit_shared(Worker& w, Kind kind, std::uintptr_t address, std::size_t bytes) {
  SharedMemory& memory = shared();
  Thread& self = w.running();
  const std::uintptr_t dynamic = reinterpret_cast<std::uintptr_t>(ebb::cuda::shared_bytes);
  const std::uintptr_t place = address - dynamic;
  if (place < sizeof ebb::cuda::shared_bytes && place + bytes > w.launch().shared)
    w.fail(fmt::format("accesses shared memory at {} of {} bytes", place, w.launch().shared));
  const std::string where =
      place < sizeof ebb::cuda::shared_bytes ? std::to_string(place) : "(static)";
  const std::size_t first = (address - memory.begin) / granule;
  const std::size_t last = (address + bytes - 1 - memory.begin) / granule;
  for (std::size_t i = first; i <= last; ++i) {
    Cell& cell = memory.cells[i];
    if (kind != Kind::write && cell.write.epoch < w.first_epoch())
      w.fail(fmt::format("reads shared memory at {} that nobody has written by then", where));
    const bool both_atomic = kind == Kind::atomic && cell.write.thread == by_atomic;
    if (!both_atomic && races(cell.write, w, self))
      w.fail(fmt::format("{} shared memory at {} that {} wrote with no barrier between",
                         kind == Kind::read ? "reads" : "writes", where, thread_of(cell.write)));
    if (kind != Kind::read && races(cell.read, w, self))
      w.fail(fmt::format("writes shared memory at {} that {} read with no barrier between", where,
                         thread_of(cell.read)));
    const Access now{w.epoch(), self.warp->epoch, static_cast<std::uint16_t>(self.number)};
    if (kind == Kind::read)
      cell.read = both_read(cell.read, now);
    else
      cell.write = {now.epoch, now.warp_epoch, kind == Kind::atomic ? by_atomic : now.thread};
  }
}

void visit(Kind kind, const void* memory, std::size_t bytes) {
  Worker& w = worker();
  if (!w.in_kernel()) return;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  if (w.on_stack(address)) return;
  if (in_arena(address)) {
    if (!allocated(address, bytes))
      w.fail(fmt::format("{} {} bytes of global memory outside every allocation",
                         kind == Kind::read ? "reads" : "writes", bytes));
    return;
  }
  const SharedMemory& mine = shared();
  if (address - mine.begin < mine.cells.size() * granule)
    return visit_shared(w, kind, address, bytes);
  const Call& call = w.launch().call;
  const auto parameters = reinterpret_cast<std::uintptr_t>(call.call.get());
  if (kind == Kind::read && address - parameters < call.bytes) return;
  const auto image = reinterpret_cast<std::uintptr_t>(&__executable_start);
  if (kind == Kind::read && address - image < static_cast<std::size_t>(&end - &__executable_start))
    return;
  w.fail(fmt::format("{} the host's memory", kind == Kind::read ? "reads" : "writes"));
}

// By one instruction, which takes no other addresses.
void visit_whole(Kind kind, const void* memory, std::size_t bytes) {
  Worker& w = worker();
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  if (w.in_kernel() && address % bytes != 0 && !w.on_stack(address))
    w.fail(fmt::format("{} {} bytes at an address that is no multiple of them",
                       kind == Kind::read ? "reads" : "writes", bytes));
  visit(kind, memory, bytes);
}

}  // namespace

void note_atomic(const void* address, std::size_t bytes) { visit(Kind::atomic, address, bytes); }

}  // namespace emulation

// ---- What the compiler calls ----

extern "C" {

#define EBB_SIZE(bytes)                                                                           \
  void __tsan_read##bytes(void* p) { emulation::visit_whole(emulation::Kind::read, p, bytes); }   \
  void __tsan_write##bytes(void* p) { emulation::visit_whole(emulation::Kind::write, p, bytes); } \
  void __tsan_unaligned_read##bytes(void* p) {                                                    \
    emulation::visit(emulation::Kind::read, p, bytes);                                            \
  }                                                                                               \
  void __tsan_unaligned_write##bytes(void* p) {                                                   \
    emulation::visit(emulation::Kind::write, p, bytes);                                           \
  }
EBB_SIZE(1)
EBB_SIZE(2)
EBB_SIZE(4)
EBB_SIZE(8)
EBB_SIZE(16)
#undef EBB_SIZE
void __tsan_read_range(void* p, unsigned long n) { emulation::visit(emulation::Kind::read, p, n); }
void __tsan_write_range(void* p, unsigned long n) {
  emulation::visit(emulation::Kind::write, p, n);
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Host code's atomics: reference counts.
#define EBB_ATOMIC(bits, type)                                                                 \
  type __tsan_atomic##bits##_load(const volatile type* p, int) {                               \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
  }                                                                                            \
  void __tsan_atomic##bits##_store(volatile type* p, type v, int) {                            \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                            \
  type __tsan_atomic##bits##_exchange(volatile type* p, type v, int) {                         \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
  }                                                                                            \
  type __tsan_atomic##bits##_fetch_add(volatile type* p, type v, int) {                        \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                         \
  }                                                                                            \
  type __tsan_atomic##bits##_fetch_sub(volatile type* p, type v, int) {                        \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                         \
  }                                                                                            \
  bool __tsan_atomic##bits##_compare_exchange_strong(volatile type* p, type* old, type v, int, \
                                                     int) {                                    \
    return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }                                                                                            \
  bool __tsan_atomic##bits##_compare_exchange_weak(volatile type* p, type* old, type v, int,   \
                                                   int) {                                      \
    return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }
EBB_ATOMIC(8, std::uint8_t)
EBB_ATOMIC(32, std::uint32_t)
EBB_ATOMIC(64, std::uint64_t)
#undef EBB_ATOMIC

// -fsanitize=bounds: an index beyond an array of known size. `data` begins with file and line.
void __ubsan_handle_out_of_bounds(void* data, void* index) {
  struct Place {
    const char* file;
    std::uint32_t line, column;
  };
  const auto& place = *static_cast<const Place*>(data);
  emulation::Worker& w = emulation::worker();
  if (w.in_kernel())
    w.fail(fmt::format("accesses element {} beyond an array, {}:{}",
                       reinterpret_cast<std::int64_t>(index), place.file, place.line));
}
void __ubsan_handle_out_of_bounds_abort(void* data, void* index) {
  __ubsan_handle_out_of_bounds(data, index);
}
}
