#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox_rows.h>
#include <ebb/tensor/reference/reference.h>

namespace ebb::reference {

void philox_uniform(const PhiloxAddress& address, std::int64_t begin, std::int64_t end,
                    Tensor& out) {
  dispatch_floating("philox_uniform", out.dtype(), [&](auto zero) {
    for_philox_chunks(out.shape(), begin, end,
                      [&, to = output<decltype(zero)>(out)](std::int64_t row, std::int64_t first,
                                                            std::int64_t count, std::int64_t at) {
                        philox_uniform_row(address, row, first, count, to + at);
                      });
  });
}

void philox_normal(const PhiloxAddress& address, std::int64_t begin, std::int64_t end,
                   Tensor& out) {
  dispatch_floating("philox_normal", out.dtype(), [&](auto zero) {
    for_philox_chunks(out.shape(), begin, end,
                      [&, to = output<decltype(zero)>(out)](std::int64_t row, std::int64_t first,
                                                            std::int64_t count, std::int64_t at) {
                        philox_normal_row(address, row, first, count, to + at);
                      });
  });
}

void philox_integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                     std::int64_t begin, std::int64_t end, Tensor& out) {
  for_philox_chunks(out.shape(), begin, end,
                    [&, to = output<std::int64_t>(out)](std::int64_t row, std::int64_t first,
                                                        std::int64_t count, std::int64_t at) {
                      philox_integers_row(low, range, address, row, first, count, to + at);
                    });
}

void box_muller(std::int64_t begin, std::int64_t end, Tensor& x) {
  dispatch_floating("box_muller", x.dtype(), [&](auto zero) {
    ebb::box_muller(output<decltype(zero)>(x) + 16 * begin, 16 * (end - begin));
  });
}

void add_random_kernels(Kernels& table) {
  table.philox_uniform = [](const PhiloxAddress& address, Tensor& out) {
    philox_uniform(address, 0, philox_chunks(out.shape()), out);
  };
  table.philox_normal = [](const PhiloxAddress& address, Tensor& out) {
    philox_normal(address, 0, philox_chunks(out.shape()), out);
  };
  table.philox_integers = [](std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                             Tensor& out) {
    philox_integers(low, range, address, 0, philox_chunks(out.shape()), out);
  };
  table.box_muller = [](Tensor& x) { box_muller(0, x.numel() / 16, x); };
}

}  // namespace ebb::reference
