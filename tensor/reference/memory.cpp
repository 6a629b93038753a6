#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace ebb::reference {

namespace {

constexpr std::align_val_t alignment{Storage::alignment};

void* allocate(int, std::size_t bytes) { return ::operator new(bytes, alignment, std::nothrow); }
void release(int, void* memory, std::size_t) { ::operator delete(memory, alignment); }
void copy(int, void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

void fill(Tensor& out, double value) {
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(output<T>(out), out.numel(), convert<T>(value));
  });
}

void cast(const Tensor& x, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto from) {
    dispatch_all(out.dtype(), [&](auto to) {
      const auto* values = input<decltype(from)>(x);
      std::transform(values, values + x.numel(), output<decltype(to)>(out),
                     [](auto value) { return convert<decltype(to)>(value); });
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

}  // namespace ebb::reference
