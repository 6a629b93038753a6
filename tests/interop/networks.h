// The networks that are compared with PyTorch's, by the names that the scripts here use.
#pragma once

#include <ebb/diffusion/models/tutorial_unet.h>

#include <memory>
#include <string_view>

namespace ebb::test {

// `simple` or `conditional` (five classes), with "-sinusoidal" or without; three channels.
inline std::unique_ptr<Model> make_tutorial_unet(std::string_view name, std::uint64_t seed) {
  PhiloxGenerator generator(seed);
  TutorialUNetOptions options{.channels = 3};
  if (name.ends_with("-sinusoidal")) options.time_features = 64;
  if (name.starts_with("simple")) return std::make_unique<SimpleUNet>(options, generator);
  check(name.starts_with("conditional"), "no model is called '{}'", name);
  return std::make_unique<ConditionalUNet>(5, options, generator);
}

}  // namespace ebb::test
