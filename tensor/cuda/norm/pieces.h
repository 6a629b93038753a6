// float32 by pieces: one block a group would leave most of the device idle, and its threads would
// read a few channels here and there. So a block takes some positions of one sample with up to 256
// neighbouring channels, and what the pieces found is put together in an order that the sizes
// alone decide.
//
//   forward    moments of each channel of a piece -> mean and rstd of each group -> y
//   backward   sums of g and g n, as above -> their means over a group, and the sums of each
//              parameter over all pieces -> dx
#pragma once

#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/norm/norm_kernels.h>
#include <ebb/tensor/cuda/norm/over_rows.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>

namespace ebb::cuda {

// Rows of channels, `rows` times `outer` of them, in pieces; `width` channels and `height` rows of
// them are a block's threads.
struct Pieces {
  int outer, rows, channels;
  int tiles, width, height;
  int length, count;  // rows of a piece; pieces of `rows` rows

  Pieces(std::int64_t outer_, std::int64_t rows_, std::int64_t channels_)
      : outer(static_cast<int>(outer_)),
        rows(static_cast<int>(rows_)),
        channels(static_cast<int>(channels_)) {
    constexpr int threads = int{block_threads}, each = 16, most = 512;
    tiles = (channels + threads - 1) / threads;
    width = (channels + tiles - 1) / tiles;
    height = std::clamp(threads / width, 1, rows);
    length = std::max(each * height, (rows + most - 1) / most);
    count = (rows + length - 1) / length;
  }
  dim3 block() const { return dim3(static_cast<unsigned>(width), static_cast<unsigned>(height)); }
  unsigned blocks() const { return static_cast<unsigned>(outer * count * tiles); }
  // Two numbers of each channel of each piece.
  Shape parts() const { return {outer, count, 2, channels}; }
};

// This thread's channel, and its rows of its block's piece.
struct Place {
  int part, outer, channel, first, end;
  bool there;  // the last tile may be narrower than its block

  __device__ explicit Place(const Pieces& p)
      : part(static_cast<int>(blockIdx.x) / p.tiles),
        outer(part / p.count),
        channel(static_cast<int>(blockIdx.x) % p.tiles * p.width + static_cast<int>(threadIdx.x)),
        there(channel < p.channels) {
    const int begin = part % p.count * p.length, left = p.rows - begin;
    first = outer * p.rows + begin + static_cast<int>(threadIdx.y);
    end = outer * p.rows + begin + (left < p.length ? left : p.length);
  }
};

// ---- On the host ----

inline int group_width(const Groups& groups) {
  return static_cast<int>(groups.channels / groups.groups);
}

// For each group: as many threads as have something to put together.
template <class... Parameters, class... Arguments>
void launch_groups(const char* name, void (*kernel)(Parameters...), const Pieces& p, int width,
                   Arguments&&... arguments) {
  const int threads = std::min((p.count * width + 31) / 32 * 32, int{block_threads});
  launch(name, kernel, static_cast<unsigned>(p.outer * (p.channels / width)),
         dim3(1, static_cast<unsigned>(threads)), 0, p, width,
         std::forward<Arguments>(arguments)...);
}

}  // namespace ebb::cuda
