// How Winograd's kernels cut a batch of outputs into tiles, and the tiles into blocks.
//
//   14 pixels:   | 4     | 4     | 3   | 3   |    6 + 6 + 5 + 5 points, where four fours take 24
//
// A tile of three rows (or columns) makes do without the point at infinity, which only the fourth
// output needs. So there are four kinds of tiles; a block holds tiles of one kind.
#pragma once

#include <cstdint>
#include <vector>

namespace ebb::cpu::winograd {

// An axis of `size` outputs: tiles of four, then of three, with the fewest points. The last may
// reach past the end.
struct Axis {
  std::int64_t fours = 0, threes = 0;

  explicit Axis(std::int64_t size);
  std::int64_t points() const { return 6 * fours + 5 * threes; }
  // Of the tiles of three (kind 1) or of four (0): their number, and where the i-th begins.
  std::int64_t tiles(int kind) const { return kind == 1 ? threes : fours; }
  std::int64_t start(int kind, std::int64_t i) const {
    return kind == 1 ? 4 * fours + 3 * i : 4 * i;
  }
};

struct Block {
  int kind;  // 2 (kind of its rows) + (kind of its columns)
  std::int64_t first, count;
};

// Where a tile's outputs begin.
struct Place {
  std::int64_t image, row, column;
};

struct Tiling {
  std::int64_t images;
  Axis rows, columns;

  Tiling(std::int64_t n, std::int64_t height, std::int64_t width)
      : images(n), rows(height), columns(width) {}

  // Tiles of a kind, numbered row by row, image by image.
  std::int64_t count(int kind) const {
    return images * rows.tiles(kind / 2) * columns.tiles(kind % 2);
  }
  Place place(int kind, std::int64_t tile) const;

  // At most `most` tiles a block, in the order of the images where they begin.
  std::vector<Block> blocks(std::int64_t most) const;
};

}  // namespace ebb::cpu::winograd
