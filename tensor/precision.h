// How products of float32 numbers may round their operands on devices with units for it.
#pragma once

#include <cstdint>

namespace ebb {

// Of conv2d, linear, bmm and attention, forward and backward; sums are float32's in all three, and
// what is kept in memory is float32.
enum class Precision : std::uint8_t {
  float32,   // as they are
  tf32,      // to 10 bits of mantissa
  bfloat16,  // to 7
};

// For the whole process; float32 at the start. The CPU's kernels know float32 alone.
Precision precision();
void set_precision(Precision precision);

}  // namespace ebb
