// Words in a picture, for the labels of rows and columns.
#pragma once

#include <ebb/apps/images/png.h>

#include <string_view>

namespace ebb::apps {

// Capitals of 3 x 5 pixels, each scaled, black, with a pixel between them. Letters of either case,
// digits and _-.+ are drawn, any other character is a blank. What lies outside the image is cut.
void draw_text(Image& image, std::int64_t row, std::int64_t column, std::string_view text,
               std::int64_t scale);
std::int64_t text_width(std::string_view text, std::int64_t scale);
std::int64_t text_height(std::int64_t scale);

}  // namespace ebb::apps
