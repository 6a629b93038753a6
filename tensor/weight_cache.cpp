#include <ebb/tensor/weight_cache.h>

#include <algorithm>
#include <utility>

namespace ebb {

namespace {

thread_local WeightCache* current_cache = nullptr;

bool same_weight(const WeightCache::Key& a, const WeightCache::Key& b) {
  return a.storage == b.storage && a.shape == b.shape && a.transform == b.transform;
}

}  // namespace

WeightCache::WeightCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}
WeightCache::~WeightCache() = default;

WeightCache::Scope::Scope(WeightCache& cache) : before_(std::exchange(current_cache, &cache)) {}
WeightCache::Scope::~Scope() { current_cache = before_; }

WeightCache* WeightCache::current() { return current_cache; }

std::shared_ptr<Storage> WeightCache::find(const Key& key) const {
  for (const Entry& entry : entries_)
    if (same_weight(entry.key, key) && entry.key.version == key.version) return entry.transformed;
  return nullptr;
}

void WeightCache::keep(const Key& key, std::shared_ptr<Storage> transformed) {
  const auto old = std::find_if(entries_.begin(), entries_.end(),
                                [&](const Entry& entry) { return same_weight(entry.key, key); });
  if (old != entries_.end()) {
    bytes_ -= old->transformed->bytes();
    entries_.erase(old);
  }
  if (transformed->bytes() > most_bytes_ - bytes_) return;
  bytes_ += transformed->bytes();
  entries_.push_back({key, std::move(transformed)});
}

}  // namespace ebb
