// One launch over many tensors: a table of them goes to the kernel as a parameter, and a block
// works on `piece` neighbouring elements of one of them.
#pragma once

#include <ebb/tensor/cuda/launch.h>

#include <cstdint>
#include <vector>

namespace ebb::cuda {

constexpr std::int64_t piece = 16 * block_threads;

// A Slot has `count` elements. A launch's parameters may have 4 KB, of which the rest is for
// others.
template <class Slot>
struct SlotTable {
  static constexpr int most = static_cast<int>(3800 / (sizeof(Slot) + sizeof(unsigned)));

  int slots = 0;
  unsigned first_block[most + 1] = {};  // of a slot; behind the last one: the number of blocks
  Slot slot[most];

  unsigned blocks() const { return first_block[slots]; }
  // False where there is no room for it.
  bool add(const Slot& one) {
    const std::int64_t more = (one.count + piece - 1) / piece;
    if (slots == most || more > 0x7fffffff - std::int64_t{blocks()}) return false;
    first_block[slots + 1] = blocks() + static_cast<unsigned>(more);
    slot[slots++] = one;
    return true;
  }

  // The slot of this block; `begin` and `end` of the elements that it works on.
  __device__ int of_block(std::int64_t& begin, std::int64_t& end) const {
    int low = 0, high = slots;  // first_block[low] <= blockIdx.x < first_block[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (first_block[middle] <= blockIdx.x ? low : high) = middle;
    }
    begin = std::int64_t{blockIdx.x - first_block[low]} * piece;
    end = begin + piece < slot[low].count ? begin + piece : slot[low].count;
    return low;
  }
};

// Calls run(table) for tables of all slots, in order.
template <class Slot, class Run>
void for_tables(const std::vector<Slot>& slots, const Run& run) {
  SlotTable<Slot> table;
  for (const Slot& one : slots) {
    if (table.add(one)) continue;
    run(table);
    table = {};
    check(table.add(one), "{} elements in one tensor are too many for a launch", one.count);
  }
  run(table);
}

}  // namespace ebb::cuda
