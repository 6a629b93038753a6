#include <ebb/tensor/backend/backend.h>

namespace ebb {

namespace {

const Kernels& table_of(Device::Kind kind) {
  switch (kind) {
    case Device::cuda:
      return cuda::kernels();
    case Device::reference:
      return reference::kernels();
    case Device::test:
      return test_device::kernels();
    case Device::cpu:
      break;
  }
  return cpu::kernels();
}

}  // namespace

const Kernels& kernels(Device device) {
  const Kernels& table = table_of(device.kind);
  check(device.index < table.devices, "device {}: there {} {} of its kind; count from 0", device,
        table.devices == 1 ? "is" : "are", table.devices);
  return table;
}

}  // namespace ebb
