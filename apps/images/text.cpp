#include <ebb/apps/images/text.h>

#include <array>
#include <cctype>

namespace ebb::apps {
namespace {

constexpr std::int64_t glyph_width = 3, glyph_height = 5;

struct Glyph {
  char character;
  std::string_view rows;  // 1 is ink
};

constexpr std::array glyphs{
    Glyph{'A', "010101111101101"}, Glyph{'B', "110101110101110"}, Glyph{'C', "011100100100011"},
    Glyph{'D', "110101101101110"}, Glyph{'E', "111100110100111"}, Glyph{'F', "111100110100100"},
    Glyph{'G', "011100101101011"}, Glyph{'H', "101101111101101"}, Glyph{'I', "111010010010111"},
    Glyph{'J', "001001001101010"}, Glyph{'K', "101101110101101"}, Glyph{'L', "100100100100111"},
    Glyph{'M', "101111111101101"}, Glyph{'N', "110101101101101"}, Glyph{'O', "010101101101010"},
    Glyph{'P', "110101110100100"}, Glyph{'Q', "010101101110011"}, Glyph{'R', "110101110101101"},
    Glyph{'S', "011100010001110"}, Glyph{'T', "111010010010010"}, Glyph{'U', "101101101101111"},
    Glyph{'V', "101101101101010"}, Glyph{'W', "101101111111101"}, Glyph{'X', "101101010101101"},
    Glyph{'Y', "101101010010010"}, Glyph{'Z', "111001010100111"}, Glyph{'0', "111101101101111"},
    Glyph{'1', "010110010010111"}, Glyph{'2', "110001010100111"}, Glyph{'3', "110001010001110"},
    Glyph{'4', "101101111001001"}, Glyph{'5', "111100110001110"}, Glyph{'6', "011100111101111"},
    Glyph{'7', "111001010010010"}, Glyph{'8', "111101111101111"}, Glyph{'9', "111101111001110"},
    Glyph{'_', "000000000000111"}, Glyph{'-', "000000111000000"}, Glyph{'.', "000000000000010"},
    Glyph{'+', "000010111010000"},
};

std::string_view glyph_of(char character) {
  const int upper = std::toupper(static_cast<unsigned char>(character));
  for (const Glyph& glyph : glyphs)
    if (glyph.character == upper) return glyph.rows;
  return "000000000000000";
}

}  // namespace

void draw_text(Image& image, std::int64_t row, std::int64_t column, std::string_view text,
               std::int64_t scale) {
  for (const char character : text) {
    const std::string_view ink = glyph_of(character);
    for (std::int64_t y = 0; y < glyph_height * scale; ++y)
      for (std::int64_t x = 0; x < glyph_width * scale; ++x) {
        const auto at = static_cast<std::size_t>(y / scale * glyph_width + x / scale);
        const std::int64_t r = row + y, c = column + x;
        if (ink[at] == '0' || r < 0 || r >= image.height || c < 0 || c >= image.width) continue;
        for (std::int64_t k = 0; k < image.channels; ++k)
          image.pixels[static_cast<std::size_t>((r * image.width + c) * image.channels + k)] = 0;
      }
    column += (glyph_width + 1) * scale;
  }
}

std::int64_t text_width(std::string_view text, std::int64_t scale) {
  return static_cast<std::int64_t>(text.size()) * (glyph_width + 1) * scale;
}
std::int64_t text_height(std::int64_t scale) { return glyph_height * scale; }

}  // namespace ebb::apps
