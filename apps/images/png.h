// PNG files by libpng's row interface. Nothing in a file is trusted.
#pragma once

#include <ebb/tensor/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ebb::apps {

// 8 bits a channel, row-major (height, width, channels). 1 channel is gray, 2 gray and alpha, 3
// RGB, 4 RGBA.
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

inline constexpr std::int64_t max_png_side = 16384;

// Gray, RGB, palette, with alpha or without, 1 to 16 bits a channel, interlaced or not; palettes
// become RGB or RGBA and 16 bits are rounded to 8. Sides above max_png_side, a truncated or
// damaged file, and what is no PNG at all are an Error that names the file.
Image read_png(const std::string& path);
// Height, width and the channels that read_png would give, from the header alone.
Image read_png_size(const std::string& path);

// Replaces `path` in one step (tensor/io/atomic_file.h).
void write_png(const std::string& path, const Image& image);

// The same picture with 1 or 3 channels: alpha is laid over white, gray repeated, RGB reduced to
// its luma (Rec. 601).
Image with_channels(const Image& image, std::int64_t channels);
// Averages the area that each new pixel covers; enlarges by the nearest pixel.
Image resized(const Image& image, std::int64_t height, std::int64_t width);

// Bytes 0..255 to [-1, 1] and back; the latter rounds and clamps. `image` is (H, W, C) float32.
constexpr float to_float(std::uint8_t byte) { return static_cast<float>(byte) / 127.5f - 1.0f; }
Tensor to_tensor(const Image& image);
Image to_image(const Tensor& image);

}  // namespace ebb::apps
