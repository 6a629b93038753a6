// A training step that repeats its shapes lives on memory that is there already.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/nn/optim/optimizer.h>
#include <ebb/tensor/threads.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

// Requests for more than the graph's nodes and the lists of a step take: for tensors, and for the
// kernels' working memory.
constexpr std::size_t large_request = 1 << 14;
std::atomic<std::int64_t> large_requests{0};

[[maybe_unused]] void* counted_new(std::size_t bytes, std::size_t alignment) {
  if (bytes >= large_request) ++large_requests;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__)  // which has its own and checks more
void* operator new(std::size_t bytes) { return counted_new(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted_new(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
#endif

TEST_SUITE_BEGIN("memory");

TEST_CASE("a steady training step asks the system for no memory") {
  using namespace ebb;
  PhiloxGenerator generator(0);
  SimpleUNet model({}, generator);
  Adam adam(named_parameters(model), {});
  const Tensor x = philox_normal({2, 16, 16, 3}, {}), noise = philox_normal({2, 16, 16, 3}, {1});
  const Tensor t = Tensor::full({2}, 100);
  const auto step = [&] {
    mse_loss(model(x, t), noise).backward();
    adam.step();
    adam.zero_grad();
  };
  // One thread: which of several takes which task, and therefore when the last one's working
  // memory has grown, is left to chance.
  const int threads = thread_count();
  set_thread_count(1);
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t before = large_requests;
  const std::uint64_t tensors = storage_statistics(Device::cpu).system_allocations;
  for (int i = 0; i < 3; ++i) step();
  CHECK(storage_statistics(Device::cpu).system_allocations == tensors);
  CHECK(large_requests == before);
  set_thread_count(threads);
}

TEST_SUITE_END();
