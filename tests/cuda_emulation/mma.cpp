#include <mma.h>

#include <array>

#include "block.h"

namespace emulation {

namespace {

constexpr unsigned all_lanes = ~0u;

void require_whole_warp(Worker& w) {
  if (w.running().warp->live != all_lanes) w.fail("works on matrices with a part of its warp");
}

}  // namespace

void meet_at_matrix(const void* matrix, std::size_t stride_bytes) {
  Worker& w = worker();
  require_whole_warp(w);
  const auto address = reinterpret_cast<std::uintptr_t>(matrix);
  if (address % 32 != 0 || stride_bytes % 16 != 0)
    w.fail("reads or writes a matrix that is not aligned to 32 bytes, or its rows not to 16");
  if (from_lane(all_lanes, address, 0) != address)
    w.fail("reads or writes another matrix than the rest of its warp");
}

void multiply_shares(int m, int n, int k, const float* a, const float* b, const float* c,
                     float* d) {
  require_whole_warp(worker());
  struct Shares {
    const float *a, *b;
  };
  static_assert(sizeof(Shares) <= slot);
  const Shares mine{a, b};
  std::array<Shares, 32> of;
  gather(all_lanes, &mine, sizeof mine, of.data());
  const unsigned lane = worker().running().lane, columns = static_cast<unsigned>(n),
                 depth = static_cast<unsigned>(k);
  for (unsigned i = 0; i < static_cast<unsigned>(m) * columns / 32; ++i) {
    const unsigned row = (lane + 32 * i) / columns, column = (lane + 32 * i) % columns;
    float sum = c[i];
    for (unsigned l = 0; l < depth; ++l) {
      const unsigned left = row * depth + l, right = l * columns + column;
      sum += of[left % 32].a[left / 32] * of[right % 32].b[right / 32];
    }
    d[i] = sum;
  }
  worker().meet(all_lanes);  // none leaves while others read its share
}

}  // namespace emulation
