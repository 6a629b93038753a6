// Many images in one picture.
#pragma once

#include <ebb/apps/images/png.h>

namespace ebb::apps {

struct GridOptions {
  std::int64_t columns = 0;  // 0: as near to a square as can be
  std::int64_t scale = 0;    // each pixel becomes scale x scale; 0: small images grow to about 64
  std::int64_t gap = 2;      // white, between the images, before scaling
};

// images: (N, H, W, C) with C 1 or 3, in [-1, 1], N >= 1; row-major from the top left.
Image make_grid(const Tensor& images, const GridOptions& options = {});
void write_grid(const std::string& path, const Tensor& images, const GridOptions& options = {});

}  // namespace ebb::apps
