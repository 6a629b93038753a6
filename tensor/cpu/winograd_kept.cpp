#include <ebb/tensor/cpu/winograd_kept.h>

#include <list>
#include <mutex>

namespace ebb::cpu::winograd {

namespace {

constexpr std::size_t most_bytes = std::size_t{128} << 20;

struct KeptWeights {
  struct Entry {
    WeightKey key;
    std::shared_ptr<Storage> transformed;
  };
  std::mutex mutex;
  std::list<Entry> entries;  // the last used first
  std::size_t bytes = 0;
};

// Never destroyed: threads may still run when static variables end.
KeptWeights& kept_weights() {
  static auto* const all = new KeptWeights;
  return *all;
}

}  // namespace

std::shared_ptr<Storage> find_kept(const WeightKey& key) {
  KeptWeights& all = kept_weights();
  const std::lock_guard lock(all.mutex);
  for (auto entry = all.entries.begin(); entry != all.entries.end(); ++entry)
    if (entry->key.storage == key.storage && entry->key.version == key.version &&
        entry->key.forward == key.forward) {
      all.entries.splice(all.entries.begin(), all.entries, entry);
      return entry->transformed;
    }
  return nullptr;
}

void keep(const WeightKey& key, std::shared_ptr<Storage> transformed) {
  KeptWeights& all = kept_weights();
  const std::lock_guard lock(all.mutex);
  const auto drop = [&](auto entry) {
    all.bytes -= entry->transformed->bytes();
    return all.entries.erase(entry);
  };
  for (auto entry = all.entries.begin(); entry != all.entries.end();)
    entry = entry->key.storage == key.storage && entry->key.forward == key.forward
                ? drop(entry)
                : std::next(entry);
  all.bytes += transformed->bytes();
  all.entries.push_front({key, std::move(transformed)});
  while (all.bytes > most_bytes) drop(std::prev(all.entries.end()));
}

}  // namespace ebb::cpu::winograd
