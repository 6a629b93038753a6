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
// would need an address translation of its own.
void* allocate(std::size_t bytes) {
  const bool large = bytes >= huge_page;
  const std::size_t alignment = large ? huge_page : Storage::alignment;
  if (bytes > std::numeric_limits<std::size_t>::max() - alignment) return nullptr;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (large && block != nullptr) madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

void release(void* block) { std::free(block); }

void copy(void* to, const void* from, std::size_t bytes) {
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
