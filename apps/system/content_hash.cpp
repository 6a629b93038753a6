#define XXH_INLINE_ALL
#include <ebb/apps/system/content_hash.h>
#include <xxhash.h>

namespace ebb::apps {

std::string content_hash(const std::vector<NamedTensor>& tensors,
                         const std::vector<double>& numbers) {
  XXH64_hash_t hash = 0;
  const auto add = [&](const void* data, std::size_t bytes) {
    hash = XXH3_64bits_withSeed(data, bytes, hash);
  };
  for (const NamedTensor& tensor : tensors) {
    const Tensor host = tensor.tensor.to(Device::cpu);
    add(tensor.name.data(), tensor.name.size());
    add(host.raw(), static_cast<std::size_t>(host.bytes()));
  }
  add(numbers.data(), numbers.size() * sizeof(double));
  return fmt::format("{:016x}", hash);
}

}  // namespace ebb::apps
