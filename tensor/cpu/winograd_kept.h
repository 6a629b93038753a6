// Transformed weights that are kept from call to call, for networks that only run: at one image
// the transform of a wide layer's weights costs more than its convolution.
#pragma once

#include <ebb/tensor/storage.h>

namespace ebb::cpu::winograd {

// Whose transform: the contents of a weight, as forward or as backward_data reads it.
struct WeightKey {
  std::uint64_t storage = 0, version = 0;  // Storage::id() and version()
  bool forward = true;

  bool keeps() const { return storage != 0; }  // the default keeps nothing
};

// What was kept under `key`, or null.
std::shared_ptr<Storage> find_kept(const WeightKey& key);
// Keeps `transformed` in the place of the same weight's older versions. The least recently used
// go when all take more than 128 MB.
void keep(const WeightKey& key, std::shared_ptr<Storage> transformed);

}  // namespace ebb::cpu::winograd
