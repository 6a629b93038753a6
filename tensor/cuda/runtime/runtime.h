// The devices of this process: each has a stream for kernels, one for copies that do not wait, and
// a word for what kernels find wrong.
#pragma once

#include <cuda_runtime.h>
#include <ebb/tensor/tensor.h>

#include <string_view>

namespace ebb::cuda {

// Makes a device current while it lives, and then again the one that was.
class DeviceScope {
 public:
  explicit DeviceScope(int index);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
};

int device_count();  // 0 where there is no card or no driver

// What a kernel found wrong, in device memory: the first one counts. It is told by report_fault(),
// after the next download.
struct Fault {
  int operation;  // 0: none; else a name's place, from 1
  std::int64_t value, limit;
};
Fault* fault_of_current_device();
// A number for `operation`, the same for the same name.
int fault_name(std::string_view operation);

}  // namespace ebb::cuda
