#include <ebb/tensor/device.h>
#include <ebb/tensor/error.h>

namespace ebb {

namespace {
constexpr std::string_view names[Device::kinds] = {"cpu", "cuda", "test", "reference"};
}

std::string name_of(Device device) {
  const std::string_view name = names[device.kind];
  return device.index == 0 ? std::string(name) : fmt::format("{}:{}", name, device.index);
}

Device parse_device(std::string_view name) {
  for (int kind = 0; kind < Device::kinds; ++kind)
    for (int index = 0; index < Device::most; ++index) {
      const Device device(static_cast<Device::Kind>(kind), static_cast<std::uint8_t>(index));
      if (name == name_of(device) || name == fmt::format("{}:{}", names[kind], index))
        return device;
    }
  fail("device: '{}' is unknown; use cpu, cuda, test or reference, or one of several as cuda:1",
       name);
}

}  // namespace ebb
