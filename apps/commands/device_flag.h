// --device: where a network and what it works on are.
#pragma once

#include <ebb/tensor/device.h>

#include <CLI/CLI.hpp>

namespace ebb::apps {

void add_device_option(CLI::App& command, Device& device);

}  // namespace ebb::apps
