// The devices that tables of operators, networks and steps hold to the CPU.
#pragma once

#include <ebb/tensor/backend/backend.h>

#include <vector>

namespace ebb::test {

// The plain loops, and a GPU, real or emulated, where there is one.
inline std::vector<Device> compared_devices() {
  std::vector<Device> devices{Device::reference};
  if (cuda::present()) devices.emplace_back(Device::cuda);
  return devices;
}

}  // namespace ebb::test
