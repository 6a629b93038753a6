// The emulated GPU: it runs kernels as a GPU would, and tells what they may not do.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/pointwise.h>

namespace ebb {
namespace {

TEST_CASE("cuda: pointwise functions are the CPU's") {
  const Tensor x = Tensor::linspace(-3, 3, 1000), far = x.to(Device::cuda);
  CHECK(relative_error((silu(far) * 2.0 + far).to(Device::cpu), silu(x) * 2.0 + x) < 1e-7);
}

}  // namespace
}  // namespace ebb
