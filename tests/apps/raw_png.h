// PNG files put together by hand, for types that the program never writes itself.
#pragma once

#include <zlib.h>

#include <string>

namespace ebb::test {

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(sum));
}

// `rows`: each row with its leading filter byte, uncompressed.
inline std::string raw_png(std::uint32_t width, std::uint32_t height, int bits, int color,
                           const std::string& rows, const std::string& chunks_before = "") {
  std::string header = big_endian(width) + big_endian(height);
  header += {static_cast<char>(bits), static_cast<char>(color), 0, 0, 0};
  std::string packed(compressBound(static_cast<uLong>(rows.size())), '\0');
  uLongf size = static_cast<uLongf>(packed.size());
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()), static_cast<uLong>(rows.size()));
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + chunks_before +
         png_chunk("IDAT", packed) + png_chunk("IEND", "");
}

}  // namespace ebb::test
