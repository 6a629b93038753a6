#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/commands/parsed_by.h>
#include <ebb/tensor/backend/backend.h>

namespace ebb::apps {

void add_device_option(CLI::App& command, Device& device) {
  command
      .add_option_function<std::string>(
          "--device",
          [&device](const std::string& name) {
            device = parse_device(name);
            kernels(device);  // an absent device is said before any work
          },
          "Where the network runs: cpu, cuda (cuda:1: the second), or reference, the plain loops "
          "(default cpu)")
      ->check(parsed_by(parse_device));
}

}  // namespace ebb::apps
