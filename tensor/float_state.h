// The floating-point mode of kernels, whatever the caller's.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ebb {

// While one lives, this thread rounds to nearest, traps nothing and takes denormals for zero, in
// operands and results (convolutions on denormals run 40 times slower). Its end brings back the
// mode and the exception flags from before.
class FloatState {
 public:
  FloatState() : before_(read()) { write(kernel_mode); }
  ~FloatState() { write(before_); }
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;

 private:
#if defined(__SSE2__)
  using Word = unsigned;
  // All exceptions masked, flush-to-zero, denormals-are-zero.
  static constexpr Word kernel_mode = 0x1f80 | 0x8000 | 0x0040;
  static Word read() { return _mm_getcsr(); }
  static void write(Word word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Word = std::uint64_t;
  static constexpr Word kernel_mode = Word{1} << 24;
  static Word read() {
    Word word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) { asm volatile("msr fpcr, %0" : : "r"(word)); }
#else
  using Word = int;
  static constexpr Word kernel_mode = 0;
  static Word read() { return 0; }
  static void write(Word) {}
#endif

  const Word before_;
};

}  // namespace ebb
