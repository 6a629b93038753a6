#include <ebb/apps/images/labelled_grid.h>
#include <ebb/apps/images/text.h>

#include <algorithm>

namespace ebb::apps {
namespace {

// `inner` on white with its top left corner at (row, column).
Image with_margin(const Image& inner, std::int64_t row, std::int64_t column) {
  Image image{inner.height + row, inner.width + column, inner.channels, {}};
  image.pixels.assign(static_cast<std::size_t>(image.height * image.width * image.channels), 255);
  for (std::int64_t y = 0; y < inner.height; ++y)
    std::copy_n(inner.pixels.data() + y * inner.width * inner.channels,
                inner.width * inner.channels,
                image.pixels.data() + ((y + row) * image.width + column) * image.channels);
  return image;
}

}  // namespace

Image labelled_grid(const Tensor& images, std::int64_t columns, std::int64_t scale,
                    const GridLabels& labels) {
  constexpr std::int64_t gap = 2, text = 2;
  const Image grid = make_grid(images, {.columns = columns, .scale = scale, .gap = gap});
  std::int64_t left = 0;
  for (const std::string& row : labels.rows) left = std::max(left, text_width(row, text) + 2 * gap);
  const std::int64_t top = labels.columns.empty() ? 0 : text_height(text) + 2 * gap;
  Image image = with_margin(grid, top, left);
  const std::int64_t cell_height = (images.size(1) + gap) * scale;
  const std::int64_t cell_width = (images.size(2) + gap) * scale;
  for (std::size_t i = 0; i < labels.rows.size(); ++i)
    draw_text(image,
              top + static_cast<std::int64_t>(i) * cell_height +
                  (images.size(1) * scale - text_height(text)) / 2,
              gap, labels.rows[i], text);
  for (std::size_t i = 0; i < labels.columns.size(); ++i)
    draw_text(image, gap, left + static_cast<std::int64_t>(i) * labels.span * cell_width,
              labels.columns[i], text);
  return image;
}

}  // namespace ebb::apps
