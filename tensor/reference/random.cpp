#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox_rows.h>
#include <ebb/tensor/reference/reference.h>

namespace ebb::reference {

namespace {

template <class Body>
void for_chunks(const Tensor& out, const Body& body) {
  for_philox_chunks(out.shape(), 0, philox_chunks(out.shape()), body);
}

void uniform(const PhiloxAddress& address, Tensor& out) {
  dispatch_floating("philox_uniform", out.dtype(), [&](auto zero) {
    for_chunks(out, [&](std::int64_t row, std::int64_t first, std::int64_t count, std::int64_t to) {
      philox_uniform_row(address, row, first, count, output<decltype(zero)>(out) + to);
    });
  });
}

void normal(const PhiloxAddress& address, Tensor& out) {
  dispatch_floating("philox_normal", out.dtype(), [&](auto zero) {
    for_chunks(out, [&](std::int64_t row, std::int64_t first, std::int64_t count, std::int64_t to) {
      philox_normal_row(address, row, first, count, output<decltype(zero)>(out) + to);
    });
  });
}

void integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address, Tensor& out) {
  for_chunks(out, [&](std::int64_t row, std::int64_t first, std::int64_t count, std::int64_t to) {
    philox_integers_row(low, range, address, row, first, count, output<std::int64_t>(out) + to);
  });
}

void normal_from_uniform(Tensor& x) {
  dispatch_floating("box_muller", x.dtype(),
                    [&](auto zero) { box_muller(output<decltype(zero)>(x), x.numel() / 16 * 16); });
}

}  // namespace

void add_random_kernels(Kernels& table) {
  table.philox_uniform = uniform;
  table.philox_normal = normal;
  table.philox_integers = integers;
  table.box_muller = normal_from_uniform;
}

}  // namespace ebb::reference
