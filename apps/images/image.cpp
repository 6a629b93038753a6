#include <ebb/apps/images/png.h>

#include <algorithm>
#include <cmath>

namespace ebb::apps {

Image with_channels(const Image& image, std::int64_t channels) {
  check(channels == 1 || channels == 3, "with_channels: {} channels asked for; ask for 1 or 3",
        channels);
  const bool has_alpha = image.channels == 2 || image.channels == 4;
  const std::int64_t colors = image.channels <= 2 ? 1 : 3;
  Image result{image.height, image.width, channels, {}};
  result.pixels.reserve(static_cast<std::size_t>(image.height * image.width * channels));
  for (std::int64_t i = 0; i < image.height * image.width; ++i) {
    const std::uint8_t* pixel = image.pixels.data() + i * image.channels;
    int rgb[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = pixel[colors == 1 ? 0 : c];
      if (has_alpha) rgb[c] = 255 - ((255 - rgb[c]) * pixel[colors] + 127) / 255;
    }
    if (channels == 3)
      for (const int value : rgb) result.pixels.push_back(static_cast<std::uint8_t>(value));
    else
      result.pixels.push_back(
          static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000));
  }
  return result;
}

namespace {

// One direction of resized: `from` pixels become `to`, each `step` bytes from the next.
struct Span {
  std::int64_t first;
  std::vector<double> weights;  // sum 1
};

std::vector<Span> spans(std::int64_t from, std::int64_t to) {
  std::vector<Span> result;
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  for (std::int64_t i = 0; i < to; ++i) {
    const double begin = static_cast<double>(i) * ratio, end = begin + ratio;
    if (to >= from) {
      const auto nearest = static_cast<std::int64_t>((begin + end) / 2);
      result.push_back({std::min(nearest, from - 1), {1.0}});
      continue;
    }
    Span span{static_cast<std::int64_t>(begin), {}};
    for (std::int64_t j = span.first; j < from && static_cast<double>(j) < end - 1e-9; ++j) {
      const auto low = static_cast<double>(j);
      span.weights.push_back((std::min(end, low + 1) - std::max(begin, low)) / ratio);
    }
    result.push_back(span);
  }
  return result;
}

}  // namespace

Image resized(const Image& image, std::int64_t height, std::int64_t width) {
  if (image.height == height && image.width == width) return image;
  Image result{height, width, image.channels, {}};
  result.pixels.reserve(static_cast<std::size_t>(height * width * image.channels));
  const std::vector<Span> columns = spans(image.width, width);
  for (const Span& row : spans(image.height, height))
    for (const Span& column : columns)
      for (std::int64_t c = 0; c < image.channels; ++c) {
        double sum = 0;
        for (std::size_t y = 0; y < row.weights.size(); ++y)
          for (std::size_t x = 0; x < column.weights.size(); ++x) {
            const std::int64_t at = (row.first + static_cast<std::int64_t>(y)) * image.width +
                                    column.first + static_cast<std::int64_t>(x);
            sum += row.weights[y] * column.weights[x] * image.pixels[at * image.channels + c];
          }
        result.pixels.push_back(static_cast<std::uint8_t>(std::lround(std::min(sum, 255.0))));
      }
  return result;
}

Tensor to_tensor(const Image& image) {
  Tensor result = Tensor::empty({image.height, image.width, image.channels});
  std::transform(image.pixels.begin(), image.pixels.end(), result.mutable_data<float>(), to_float);
  return result;
}

Image to_image(const Tensor& image) {
  check(image.rank() == 3, "to_image: shape {}; give one image (H, W, C)", image.shape());
  Image result{image.size(0), image.size(1), image.size(2), {}};
  for (const float value : image.to_vector<float>()) {
    check(std::isfinite(value),
          "to_image: the image has values that are not finite; train it less "
          "fast or sample it otherwise");
    const float clamped = std::clamp(value, -1.0f, 1.0f);
    result.pixels.push_back(static_cast<std::uint8_t>(std::lround((clamped + 1.0f) * 127.5f)));
  }
  return result;
}

}  // namespace ebb::apps
