// Dividing an index of 32 bits is several times cheaper than one of 64.
#pragma once

#include <cstdint>

namespace ebb::cuda {

// Calls body with a zero of the type that indices below `most` have: 32 bits where they do.
template <class Body>
void with_index(std::int64_t most, const Body& body) {
  if (most <= INT32_MAX)
    body(std::uint32_t{});
  else
    body(std::int64_t{});
}

}  // namespace ebb::cuda
