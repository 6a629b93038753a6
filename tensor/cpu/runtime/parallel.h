// The one place where the CPU kernels use threads.
//
// Work is cut into blocks of a fixed size, never by the number of threads, so that every sum is
// taken in the same order and the bits of a result do not depend on how many threads ran.
//
// The caller and the threads of a team (team.h) take blocks one by one until none is left. Nobody
// waits for a thread that has not begun: with another process on its processor the others do its
// share.
#pragma once

#include <ebb/tensor/float_state.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <cstdint>

namespace ebb::cpu {

// Calls run(work, block) for each block in [0, blocks), on several threads where that is possible.
void run_blocks(std::int64_t blocks, void (*run)(const void* work, std::int64_t block),
                const void* work);

// Calls body(begin, end) for the blocks [0, grain), [grain, 2 grain), ... of [0, count), each once,
// in any order, in kernels' floating-point mode (float_state.h). Nested calls run on the calling
// thread, and so does a call while another thread of the program has the team.
// What `body` throws reaches the caller, when every block that had begun is done; the rest is left
// undone. Of several exceptions one is passed on.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const FloatState state;
  if (count <= grain) return body(std::int64_t{0}, count);
  const auto block = [&](std::int64_t index) {
    const std::int64_t begin = index * grain;
    body(begin, count - begin > grain ? begin + grain : count);
  };
  run_blocks((count - 1) / grain + 1,
             [](const void* work, std::int64_t index) {
               (*static_cast<const decltype(block)*>(work))(index);
             },
             &block);
}

}  // namespace ebb::cpu
