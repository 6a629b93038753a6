#include <ebb/apps/images/png.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <cstring>
#include <memory>

namespace ebb::apps {
namespace {

constexpr png_alloc_size_t max_chunk_bytes = 64 << 20;

// libpng reports errors by longjmp, which runs no destructors: the functions that call it hold
// nothing that has one, and what they work on lives here.
struct Codec {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool reading;
  std::string message;

  explicit Codec(bool for_reading) : reading(for_reading) {
    png = reading ? png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning)
                  : png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    check(info != nullptr, "png: libpng cannot start; is its version {}?", PNG_LIBPNG_VER_STRING);
  }
  ~Codec() {
    if (reading)
      png_destroy_read_struct(&png, &info, nullptr);
    else
      png_destroy_write_struct(&png, &info);
  }
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  static void on_error(png_structp png, png_const_charp text) {
    static_cast<Codec*>(png_get_error_ptr(png))->message = text;
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
};

// Reads the header and asks for 8-bit gray or RGB rows.
bool read_header(Codec& codec, std::FILE* file, Image& image) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_structp png = codec.png;
  png_set_user_limits(png, max_png_side, max_png_side);
  png_set_chunk_malloc_max(png, max_chunk_bytes);
  png_init_io(png, file);
  png_read_info(png, codec.info);
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, codec.info);
  image.height = png_get_image_height(png, codec.info);
  image.width = png_get_image_width(png, codec.info);
  image.channels = png_get_channels(png, codec.info);
  return true;
}

bool read_rows(Codec& codec, png_bytepp rows) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_read_image(codec.png, rows);
  png_read_end(codec.png, nullptr);
  return true;
}

bool write_rows(Codec& codec, std::string& bytes, const Image& image, int color) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  const auto append = [](png_structp png, png_bytep data, std::size_t size) {
    static_cast<std::string*>(png_get_io_ptr(png))
        ->append(reinterpret_cast<const char*>(data), size);
  };
  png_set_write_fn(codec.png, &bytes, append, [](png_structp) {});
  png_set_IHDR(codec.png, codec.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8, color, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(codec.png, codec.info);
  for (std::int64_t y = 0; y < image.height; ++y)
    png_write_row(codec.png, image.pixels.data() + y * image.width * image.channels);
  png_write_end(codec.png, nullptr);
  return true;
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_png(const std::string& path) {
  InputFile opened(path);
  const int descriptor = opened.release();
  File file(::fdopen(descriptor, "rb"), std::fclose);
  if (!file) ::close(descriptor);
  check(file != nullptr, "{}: cannot open it: {}", path, std::strerror(errno));
  png_byte signature[8];
  const bool is_png = std::fread(signature, 1, 8, file.get()) == 8 &&
                      png_sig_cmp(signature, 0, 8) == 0 && std::fseek(file.get(), 0, SEEK_SET) == 0;
  check(is_png, "{}: this is no PNG file; convert it to PNG", path);
  return file;
}

[[noreturn]] void fail_damaged(const std::string& path, const Codec& codec) {
  fail("{}: damaged or too large PNG ({}); replace it", path, codec.message);
}

}  // namespace

Image read_png_size(const std::string& path) {
  const File file = open_png(path);
  Codec codec(true);
  Image image;
  if (!read_header(codec, file.get(), image)) fail_damaged(path, codec);
  return image;
}

Image read_png(const std::string& path) {
  const File file = open_png(path);
  Codec codec(true);
  Image image;
  if (!read_header(codec, file.get(), image)) fail_damaged(path, codec);
  const std::int64_t stride = image.width * image.channels;
  struct stat status {};
  const std::int64_t size = ::fstat(::fileno(file.get()), &status) == 0 ? status.st_size : 0;
  check(image.height * stride <= most_expanded(size),
        "{}: {} x {} pixels from {} bytes, which no picture needs; replace it", path, image.height,
        image.width, size);
  image.pixels.resize(static_cast<std::size_t>(image.height * stride));
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < image.height; ++y) rows.push_back(image.pixels.data() + y * stride);
  if (!read_rows(codec, rows.data())) fail_damaged(path, codec);
  return image;
}

void write_png(const std::string& path, const Image& image) {
  const auto expected = static_cast<std::size_t>(image.height * image.width * image.channels);
  check(image.height > 0 && image.width > 0 && image.pixels.size() == expected,
        "write_png: {}: {} x {} x {} pixels, {} bytes; give height * width * channels", path,
        image.height, image.width, image.channels, image.pixels.size());
  check(image.height <= max_png_side && image.width <= max_png_side,
        "write_png: {}: {} x {} pixels, at most {} a side; write fewer images", path, image.height,
        image.width, max_png_side);
  constexpr int colors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                            PNG_COLOR_TYPE_RGB_ALPHA};
  check(image.channels >= 1 && image.channels <= 4, "write_png: {}: {} channels; give 1 to 4", path,
        image.channels);
  Codec codec(false);
  std::string bytes;
  check(write_rows(codec, bytes, image, colors[image.channels - 1]), "write_png: {}: {}", path,
        codec.message);
  write_file(path, bytes);
}

}  // namespace ebb::apps
