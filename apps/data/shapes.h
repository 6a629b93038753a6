// Pictures drawn by formula: ten shapes at random places, sizes, angles and colours. Needs no
// files; image i is a function of i alone and of its size.
#pragma once

#include <ebb/apps/data/dataset.h>

namespace ebb::apps {

class Shapes final : public Dataset {
 public:
  static constexpr std::uint64_t seed = 0;

  // 60,000 images for training and 10,000 others for tests; class i mod 10. options.size: 32
  // unless given; options.channels: 3 unless given.
  Shapes(const DatasetOptions& options, Split split);
  std::int64_t size() const override { return split_ == Split::train ? 60'000 : 10'000; }

 private:
  void read(std::int64_t index, std::uint8_t* pixels) const override;
  std::int64_t label(std::int64_t index) const override { return index % classes(); }

  Split split_;
};

}  // namespace ebb::apps
