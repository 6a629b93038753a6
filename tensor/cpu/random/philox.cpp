// Random numbers: the reference's loops over chunks, shared out among the threads.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/random/philox_rows.h>
#include <ebb/tensor/reference/reference.h>

namespace ebb::cpu {

namespace {

// body(begin, end) for the chunks of `out`.
template <class Body>
void for_chunks(const Tensor& out, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, philox_chunk / philox_width(out.shape()));
  parallel_for(philox_chunks(out.shape()), grain, body);
}

void uniform(const PhiloxAddress& address, Tensor& out) {
  for_chunks(out, [&](std::int64_t begin, std::int64_t end) {
    reference::philox_uniform(address, begin, end, out);
  });
}

void normal(const PhiloxAddress& address, Tensor& out) {
  for_chunks(out, [&](std::int64_t begin, std::int64_t end) {
    reference::philox_normal(address, begin, end, out);
  });
}

void integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address, Tensor& out) {
  for_chunks(out, [&](std::int64_t begin, std::int64_t end) {
    reference::philox_integers(low, range, address, begin, end, out);
  });
}

void normal_from_uniform(Tensor& x) {
  parallel_for(x.numel() / 16, 256,
               [&](std::int64_t begin, std::int64_t end) { reference::box_muller(begin, end, x); });
}

}  // namespace

void add_random_kernels(Kernels& table) {
  table.philox_uniform = uniform;
  table.philox_normal = normal;
  table.philox_integers = integers;
  table.box_muller = normal_from_uniform;
}

}  // namespace ebb::cpu
