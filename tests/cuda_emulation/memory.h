// The memory of the emulated devices: one range of addresses, in it allocations with closed pages
// after each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulation {

bool in_arena(std::uintptr_t address);
// Whether all of [address, address + bytes) is in one allocation.
bool allocated(std::uintptr_t address, std::size_t bytes);

}  // namespace emulation
