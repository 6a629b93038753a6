// Random numbers, chunk by chunk.
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox_rows.h>

namespace ebb::cpu {

namespace {

// Calls body(row, first, count, place) for all chunks of `out`.
template <class Body>
void for_chunks(const Tensor& out, const Body& body) {
  const std::int64_t chunks = philox_chunks(out.shape());
  const std::int64_t grain = std::max<std::int64_t>(1, philox_chunk / philox_width(out.shape()));
  parallel_for(chunks, grain, [&](std::int64_t begin, std::int64_t end) {
    for_philox_chunks(out.shape(), begin, end, body);
  });
}

void uniform(const PhiloxAddress& address, Tensor& out) {
  dispatch_floating("philox_uniform", out.dtype(), [&](auto zero) {
    for_chunks(out, [&, to = output<decltype(zero)>(out)](std::int64_t row, std::int64_t first,
                                                          std::int64_t count, std::int64_t place) {
      philox_uniform_row(address, row, first, count, to + place);
    });
  });
}

void normal(const PhiloxAddress& address, Tensor& out) {
  dispatch_floating("philox_normal", out.dtype(), [&](auto zero) {
    for_chunks(out, [&, to = output<decltype(zero)>(out)](std::int64_t row, std::int64_t first,
                                                          std::int64_t count, std::int64_t place) {
      philox_normal_row(address, row, first, count, to + place);
    });
  });
}

void integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address, Tensor& out) {
  for_chunks(out, [&, to = output<std::int64_t>(out)](std::int64_t row, std::int64_t first,
                                                      std::int64_t count, std::int64_t place) {
    philox_integers_row(low, range, address, row, first, count, to + place);
  });
}

void normal_from_uniform(Tensor& x) {
  dispatch_floating("box_muller", x.dtype(), [&](auto zero) {
    auto* values = output<decltype(zero)>(x);
    parallel_for(x.numel() / 16, 256, [&](std::int64_t begin, std::int64_t end) {
      box_muller(values + 16 * begin, 16 * (end - begin));
    });
  });
}

}  // namespace

void add_random_kernels(Kernels& table) {
  table.philox_uniform = uniform;
  table.philox_normal = normal;
  table.philox_integers = integers;
  table.box_muller = normal_from_uniform;
}

}  // namespace ebb::cpu
