// Where a tensor's memory is and which kernels run on it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ebb {

struct Device {
  enum Kind : std::uint8_t {
    cpu,
    cuda,       // linked in or absent; absent, every use is an error that says so
    test,       // the CPU's kernels on memory that only they and copies can reach, to touch it is a
                // crash: it proves that nothing else reads or writes bytes on a device
    reference,  // plain loops: what the other devices' kernels are held to
  };
  static constexpr int kinds = 4, most = 16;  // so many of a kind

  Kind kind = cpu;
  std::uint8_t index = 0;  // which of a kind: cuda has as many as the machine, test two, others one

  constexpr Device() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): Device::cpu is a device
  constexpr Device(Kind kind, std::uint8_t index = 0) : kind(kind), index(index) {}
  friend constexpr bool operator==(Device, Device) = default;
};

// "cuda" for the first of its kind, "cuda:1" for the second.
std::string name_of(Device device);

// What name_of says, or "cuda:0"; anything else is an Error that lists what there is.
Device parse_device(std::string_view name);

}  // namespace ebb

template <>
struct fmt::formatter<ebb::Device> : fmt::formatter<std::string_view> {
  auto format(ebb::Device device, format_context& context) const {
    return fmt::formatter<std::string_view>::format(ebb::name_of(device), context);
  }
};
