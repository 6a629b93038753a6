#include <ebb/tensor/device.h>
#include <ebb/tensor/error.h>

namespace ebb {

Device parse_device(std::string_view name) {
  for (Device device : {Device::cpu, Device::cuda, Device::test, Device::reference})
    if (name == name_of(device)) return device;
  fail("device: '{}' is unknown; use cpu, cuda, test or reference", name);
}

}  // namespace ebb
