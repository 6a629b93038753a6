#include <ebb/tensor/cpu/conv/winograd/tiling.h>

#include <algorithm>
#include <limits>

namespace ebb::cpu::winograd {

Axis::Axis(std::int64_t size) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t b = 0; b < 4; ++b) {
    const std::int64_t a = (std::max<std::int64_t>(size - 3 * b, 0) + 3) / 4;
    if (6 * a + 5 * b < least) {
      least = 6 * a + 5 * b;
      fours = a;
      threes = b;
    }
  }
}

Place Tiling::place(int kind, std::int64_t tile) const {
  const std::int64_t across = columns.tiles(kind % 2), down = rows.tiles(kind / 2);
  return {tile / across / down, rows.start(kind / 2, tile / across % down),
          columns.start(kind % 2, tile % across)};
}

std::vector<Block> Tiling::blocks(std::int64_t most) const {
  std::vector<Block> result;
  // With a kind of few points after one of many, each half of the list is half of the work.
  for (const int kind : {0, 3, 1, 2})
    for (std::int64_t first = 0; first < count(kind); first += most)
      result.push_back({kind, first, std::min(most, count(kind) - first)});
  std::stable_sort(result.begin(), result.end(), [&](const Block& a, const Block& b) {
    return place(a.kind, a.first).image < place(b.kind, b.first).image;
  });
  return result;
}

}  // namespace ebb::cpu::winograd
