#include <ebb/tensor/backend/backend.h>

namespace ebb {

// The test device runs the same kernels; that its memory is out of reach is enforced by
// Tensor::data, which serves Device::cpu alone.
const Kernels& kernels(Device device) {
  return device == Device::cuda ? cuda::kernels() : cpu::kernels();
}

}  // namespace ebb
