// Memory, filling and conversion between types.
#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <sys/mman.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace ebb::cpu {

namespace {

constexpr std::int64_t copy_grain = 1 << 16;
constexpr std::size_t huge_page = std::size_t{1} << 21;

// Large blocks sit on huge pages: a convolution walks many rows at once, and each small page
// would need an address translation of its own. They are mapped one by one, since the heap keeps
// what is freed below something that is not.
void* map_aligned(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - huge_page) return nullptr;
  void* const all =
      mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(all) % huge_page;
  char* const block = static_cast<char*>(all) + before;
  if (before > 0) munmap(all, before);
  munmap(block + bytes, huge_page - before);
  madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

// `bytes` are whole pages where they are many (Storage's size classes).
void* allocate(int, std::size_t bytes) {
  return bytes >= huge_page ? map_aligned(bytes) : std::aligned_alloc(Storage::alignment, bytes);
}

void release(int, void* block, std::size_t bytes) {
  if (bytes >= huge_page)
    munmap(block, bytes);
  else
    std::free(block);
}

void copy(int, void* to, const void* from, std::size_t bytes) {
  parallel_for(static_cast<std::int64_t>(bytes), copy_grain * 4,
               [&](std::int64_t a, std::int64_t b) {
                 std::memcpy(static_cast<char*>(to) + a, static_cast<const char*>(from) + a,
                             static_cast<std::size_t>(b - a));
               });
}

void fill(Tensor& out, double value) {
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* y = static_cast<T*>(out.raw());
    const T v = convert<T>(value);
    parallel_for(out.numel(), copy_grain,
                 [&](std::int64_t a, std::int64_t b) { std::fill(y + a, y + b, v); });
  });
}

void cast(const Tensor& x, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto from) {
    dispatch_all(out.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const From* source = static_cast<const From*>(x.raw());
      To* target = static_cast<To*>(out.raw());
      parallel_for(x.numel(), copy_grain, [&](std::int64_t a, std::int64_t b) {
        for (std::int64_t i = a; i < b; ++i) target[i] = convert<To>(source[i]);
      });
    });
  });
}

}  // namespace

void add_memory_kernels(Kernels& table) {
  table.allocate = allocate;
  table.release = release;
  table.upload = copy;
  table.download = copy;
  table.copy = copy;
  table.fill = fill;
  table.cast = cast;
}

}  // namespace ebb::cpu
