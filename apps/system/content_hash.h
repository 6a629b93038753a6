// A name for what tensors hold.
#pragma once

#include <ebb/tensor/io/safetensors.h>

#include <string>
#include <vector>

namespace ebb::apps {

// A checksum (XXH3) of names, elements and `numbers`, 16 digits. The tensors may be on any device.
std::string content_hash(const std::vector<NamedTensor>& tensors,
                         const std::vector<double>& numbers = {});

}  // namespace ebb::apps
