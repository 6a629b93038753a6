#include <ebb/apps/images/grid.h>

#include <algorithm>
#include <cmath>

namespace ebb::apps {

Image make_grid(const Tensor& images, const GridOptions& options) {
  check(images.rank() == 4 && images.numel() > 0 && (images.size(3) == 1 || images.size(3) == 3),
        "make_grid: shape {}; give images (N, H, W, C) with C 1 or 3", images.shape());
  const std::int64_t count = images.size(0), height = images.size(1), width = images.size(2),
                     channels = images.size(3);
  const std::int64_t side = std::max(height, width);
  const std::int64_t scale =
      options.scale > 0 ? options.scale : std::max<std::int64_t>(1, (64 + side / 2) / side);
  const std::int64_t columns = std::min(
      count, options.columns > 0
                 ? options.columns
                 : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count)))));
  const std::int64_t rows = (count + columns - 1) / columns;
  const Image pixels = to_image(images.reshape({count * height, width, channels}));

  Image grid{(rows * (height + options.gap) - options.gap) * scale,
             (columns * (width + options.gap) - options.gap) * scale,
             channels,
             {}};
  grid.pixels.assign(static_cast<std::size_t>(grid.height * grid.width * channels), 255);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t y = 0; y < height * scale; ++y)
      for (std::int64_t x = 0; x < width * scale; ++x) {
        const std::int64_t from = (i * height + y / scale) * width + x / scale;
        const std::int64_t to = (i / columns * (height + options.gap) * scale + y) * grid.width +
                                i % columns * (width + options.gap) * scale + x;
        std::copy_n(pixels.pixels.data() + from * channels, channels,
                    grid.pixels.data() + to * channels);
      }
  return grid;
}

void write_grid(const std::string& path, const Tensor& images, const GridOptions& options) {
  write_png(path, make_grid(images, options));
}

}  // namespace ebb::apps
