// What the machine can do at this moment, measured: the yardstick of `ebb bench`.
#pragma once

namespace ebb::cpu {

struct Peak {
  double flops;      // a second, float32: multiply-adds on registers, two each
  double bandwidth;  // bytes a second: a = b + s c on arrays that no cache holds
};

// On thread_count() threads, with the vectors of simd_target(). Takes about 10 ms; the second
// figure needs 192 MB, which are kept.
Peak measure_peak();

}  // namespace ebb::cpu
