// Where a tensor's memory is and which kernels run on it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace ebb {

enum class Device : std::uint8_t {
  cpu,
  cuda,  // linked in or absent; absent, every use is an error that says so
  test,  // the CPU's kernels on memory that only they and copies can reach, to touch it is a crash:
         // it proves that nothing else reads or writes bytes on a device
  reference,  // plain loops: what the other devices' kernels are held to
};

constexpr std::string_view name_of(Device device) {
  constexpr std::string_view names[] = {"cpu", "cuda", "test", "reference"};
  return names[static_cast<std::size_t>(device)];
}

// "cpu", "cuda", "test" or "reference"; anything else is an Error that lists them.
Device parse_device(std::string_view name);

}  // namespace ebb

template <>
struct fmt::formatter<ebb::Device> : fmt::formatter<std::string_view> {
  auto format(ebb::Device device, format_context& context) const {
    return fmt::formatter<std::string_view>::format(ebb::name_of(device), context);
  }
};
