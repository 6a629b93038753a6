#include <doctest/doctest.h>
#include <ebb/apps/images/grid.h>
#include <ebb/tensor/io/atomic_file.h>
#include <tests/apps/raw_png.h>
#include <tests/temporary_folder.h>

#include <limits>

using namespace ebb;
using namespace ebb::apps;
using ebb::test::png_chunk;
using ebb::test::raw_png;
using namespace std::string_literals;

namespace {

using Bytes = std::vector<std::uint8_t>;

Image written_and_read(const std::string& contents) {
  const test::TemporaryFolder folder;
  write_file(folder / "x.png", contents);
  return read_png(folder / "x.png");
}

}  // namespace

TEST_SUITE_BEGIN("apps png");

TEST_CASE("png: what is written is read back, in 1 to 4 channels") {
  const test::TemporaryFolder folder;
  for (std::int64_t channels = 1; channels <= 4; ++channels) {
    Image image{5, 7, channels, {}};
    for (int i = 0; i < 5 * 7 * channels; ++i)
      image.pixels.push_back(static_cast<std::uint8_t>(37 * i + 11));
    write_png(folder / "x.png", image);
    const Image read = read_png(folder / "x.png");
    CHECK(read.height == 5);
    CHECK(read.width == 7);
    CHECK(read.channels == channels);
    CHECK(read.pixels == image.pixels);
    CHECK(read_png_size(folder / "x.png").channels == channels);
  }
}

TEST_CASE("png: 16 bits are rounded, 1 bit and palettes are expanded") {
  // 0x1234 / 257 = 18.13, 0xFFFF / 257 = 255, 0x80C0 / 257 = 128.25.
  CHECK(written_and_read(raw_png(3, 1, 16, 0, "\0\x12\x34\xFF\xFF\x80\xC0"s)).pixels ==
        Bytes{18, 255, 128});
  CHECK(written_and_read(raw_png(4, 1, 1, 0, "\0\xA0"s)).pixels == Bytes{255, 0, 255, 0});
  const std::string palette = png_chunk("PLTE", "\x01\x02\x03\xF0\xF1\xF2");
  CHECK(written_and_read(raw_png(2, 1, 8, 3, "\0\1\0"s, palette)).pixels ==
        Bytes{0xF0, 0xF1, 0xF2, 1, 2, 3});
  const Image transparent =
      written_and_read(raw_png(2, 1, 8, 3, "\0\1\0"s, palette + png_chunk("tRNS", "\x80")));
  CHECK(transparent.channels == 4);
  CHECK(transparent.pixels == Bytes{0xF0, 0xF1, 0xF2, 255, 1, 2, 3, 0x80});
}

TEST_CASE("png: what is damaged, too large or no PNG is an error that names the file") {
  const std::string good = raw_png(64, 64, 8, 0, std::string(64 * 65, '\0'));
  CHECK_NOTHROW(written_and_read(good));
  const auto refused = [](const std::string& contents, const char* why) {
    CHECK_THROWS_WITH_AS(written_and_read(contents), doctest::Contains(why), Error);
    CHECK_THROWS_WITH_AS(written_and_read(contents), doctest::Contains("x.png"), Error);
  };
  refused("", "no PNG");
  refused("GIF89a and more", "no PNG");
  refused(good.substr(0, 20), "damaged");
  refused(good.substr(0, good.size() - 30), "damaged");
  std::string flipped = good;
  flipped[60] = static_cast<char>(flipped[60] ^ 0x55);
  refused(flipped, "damaged");
  refused(raw_png(64, 64, 8, 0, std::string(10, '\0')), "damaged");
  refused(raw_png(2'000'000'000, 2'000'000'000, 8, 0, "\0"s), "damaged");
  refused(raw_png(0, 4, 8, 0, "\0"s), "damaged");
  CHECK_THROWS_WITH_AS(read_png("/nowhere/x.png"), doctest::Contains("/nowhere/x.png"), Error);
}

TEST_CASE("png: channels are converted, alpha lies on white") {
  const Image rgba{1, 2, 4, {10, 20, 30, 0, 200, 100, 50, 255}};
  CHECK(with_channels(rgba, 3).pixels == Bytes{255, 255, 255, 200, 100, 50});
  CHECK(with_channels(rgba, 1).pixels == Bytes{255, 124});  // .299 200 + .587 100 + .114 50
  const Image gray{1, 2, 1, {7, 9}};
  CHECK(with_channels(gray, 3).pixels == Bytes{7, 7, 7, 9, 9, 9});
  CHECK(with_channels(Image{1, 1, 2, {0, 128}}, 1).pixels == Bytes{127});
}

TEST_CASE("png: resizing averages areas and repeats pixels") {
  const Image image{2, 4, 1, {0, 100, 200, 60, 40, 20, 0, 100}};
  CHECK(resized(image, 1, 2).pixels == Bytes{40, 90});
  CHECK(resized(image, 2, 8).pixels ==
        Bytes{0, 0, 100, 100, 200, 200, 60, 60, 40, 40, 20, 20, 0, 0, 100, 100});
  // 4 to 3: each new pixel covers 4/3 of the old ones; (0 + 100 / 3) * 3 / 4 = 25.
  CHECK(resized(image, 2, 3).pixels == Bytes{25, 150, 95, 35, 10, 75});
}

TEST_CASE("png: bytes to [-1, 1] and back lose nothing; out of range is clamped, NaN refused") {
  Image all{16, 16, 1, {}};
  for (int i = 0; i < 256; ++i) all.pixels.push_back(static_cast<std::uint8_t>(i));
  const Tensor values = to_tensor(all);
  CHECK(values.data<float>()[0] == -1);
  CHECK(values.data<float>()[255] == 1);
  CHECK(to_image(values).pixels == all.pixels);
  CHECK(to_image(Tensor::from<float>({-3, 7}, {1, 2, 1})).pixels == Bytes{0, 255});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(to_image(Tensor::from<float>({0, nan}, {1, 2, 1})),
                       doctest::Contains("not finite"), Error);
}

TEST_CASE("grid: images lie row by row with gaps, scaled by whole pixels") {
  // Three images of 1 x 2: two columns.
  const Tensor images = Tensor::from<float>({-1, 1, 1, -1, -1, -1}, {3, 1, 2, 1});
  const Image grid = make_grid(images, {.columns = 2, .scale = 2, .gap = 1});
  CHECK(grid.height == 6);
  CHECK(grid.width == 10);
  const auto row = [&](int y) {
    return Bytes(grid.pixels.begin() + y * 10, grid.pixels.begin() + (y + 1) * 10);
  };
  CHECK(row(0) == Bytes{0, 0, 255, 255, 255, 255, 255, 255, 0, 0});
  CHECK(row(1) == row(0));
  CHECK(row(2) == Bytes(10, 255));
  CHECK(row(4) == Bytes{0, 0, 0, 0, 255, 255, 255, 255, 255, 255});
  CHECK_THROWS_WITH_AS(make_grid(Tensor::zeros({2, 2})), doctest::Contains("(N, H, W, C)"), Error);
  CHECK_THROWS_WITH_AS(make_grid(Tensor::zeros({0, 2, 2, 1})), doctest::Contains("(0, 2, 2, 1)"),
                       Error);
}

TEST_SUITE_END();
