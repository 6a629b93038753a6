// What kernels make of weights, kept from call to call, for networks that only run: at one image
// Winograd's transform of a wide layer's weights costs more than its convolution.
//
//   WeightCache cache;                      // owns what is kept and gives it back when it ends
//   const WeightCache::Scope scope(cache);  // this thread's convolutions use it until then
//   for (...) y = model(x, t, labels);
//
// Nothing is kept without a Scope. Kept is by the weight's memory, shape and version: every change
// through this library counts as a new version, and so does each call of mutable_data(). Writing
// through a pointer that was taken before is not seen: do not do that while a Scope lives.
//
// A cache serves one thread at a time.
#pragma once

#include <ebb/tensor/tensor.h>

#include <memory>
#include <vector>

namespace ebb {

class WeightCache {
 public:
  // Whose transform, and which of several.
  struct Key {
    std::uint64_t storage, version;  // Tensor::storage_id() and version()
    Shape shape;
    int transform;
  };

  // At most `most_bytes` are kept; what comes later is not.
  explicit WeightCache(std::size_t most_bytes = std::size_t{128} << 20);
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;
  ~WeightCache();

  // Makes a cache the current one of this thread while it lives; then the one before is again.
  class Scope {
   public:
    explicit Scope(WeightCache& cache);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    WeightCache* before_;
  };
  // Null where no Scope lives.
  static WeightCache* current();

  // What was kept under `key`, or null.
  std::shared_ptr<Storage> find(const Key& key) const;
  // Keeps `transformed` in the place of what the same weight's older version left.
  void keep(const Key& key, std::shared_ptr<Storage> transformed);
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Key key;
    std::shared_ptr<Storage> transformed;
  };
  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace ebb
