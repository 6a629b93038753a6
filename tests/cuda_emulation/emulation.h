// The emulated GPU as tests see it.
#pragma once

#include <cstdint>
#include <string>

namespace emulation {

bool present();  // false where the tests run on a real GPU

// What the host has asked of the runtime since the program began.
struct Counts {
  std::int64_t launches = 0, graph_launches = 0;
  std::int64_t allocations = 0;       // of device or pinned memory
  std::int64_t synchronizations = 0;  // the host waited
  std::int64_t to_device = 0, to_host = 0;
  std::int64_t library_products = 0;  // cublasLtMatmul
};
Counts counts();

// When queued work is done. A kernel runs at once, with what it has to wait for; a copy waits until
// something that must come after it is waited for, so that a missing wait gives wrong results.
enum class Order {
  copies_late,
  copies_early,  // a copy at once too: what it should have waited for may come after it
  all_late,      // kernels as late as copies
};
void set_order(Order order);

// What a kernel did wrong; empty: nothing. Until it is forgotten, every call is an error.
std::string report();
void forget_report();

// The memory that cudaMalloc gives of at most.
void set_memory(std::size_t bytes);

}  // namespace emulation
