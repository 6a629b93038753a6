#include <ebb/tensor/io/file_types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace ebb {

namespace {

static_assert(std::endian::native == std::endian::little, "the data is read as it lies");

float half_to_float(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu;
  float value;
  if (magnitude >= 0x7c00u)  // infinity, NaN
    value = std::bit_cast<float>(0x7f800000u | (magnitude << 13));
  else if (magnitude >= 0x0400u)  // the exponent's bias goes from 15 to 127
    value = std::bit_cast<float>((magnitude << 13) + (112u << 23));
  else  // subnormal
    value = static_cast<float>(magnitude) * 0x1p-24f;
  return half & 0x8000u ? -value : value;
}

float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

template <auto function>
void to_floats(const void* from, void* to, std::int64_t count) {
  const auto* first = static_cast<const std::uint16_t*>(from);
  std::transform(first, first + count, static_cast<float*>(to), function);
}
template <class From>
void widen(const void* from, void* to, std::int64_t count) {
  std::copy_n(static_cast<const From*>(from), count, static_cast<std::int64_t*>(to));
}
// As NumPy and PyTorch take a byte that is neither 0 nor 1.
void to_truths(const void* from, void* to, std::int64_t count) {
  const auto* first = static_cast<const std::uint8_t*>(from);
  std::transform(first, first + count, static_cast<std::int64_t*>(to),
                 [](std::uint8_t byte) { return byte != 0 ? 1 : 0; });
}

constexpr std::array<FileType, 12> file_types{{
    {"F32", "<f4", 4, DType::float32, nullptr},
    {"F64", "<f8", 8, DType::float64, nullptr},
    {"I64", "<i8", 8, DType::int64, nullptr},
    {"F16", "<f2", 2, DType::float32, to_floats<half_to_float>},
    {"BF16", "", 2, DType::float32, to_floats<bfloat_to_float>},
    {"BOOL", "|b1", 1, DType::int64, to_truths},
    {"U8", "|u1", 1, DType::int64, widen<std::uint8_t>},
    {"I8", "|i1", 1, DType::int64, widen<std::int8_t>},
    {"U16", "<u2", 2, DType::int64, widen<std::uint16_t>},
    {"I16", "<i2", 2, DType::int64, widen<std::int16_t>},
    {"U32", "<u4", 4, DType::int64, widen<std::uint32_t>},
    {"I32", "<i4", 4, DType::int64, widen<std::int32_t>},
}};

}  // namespace

const FileType* find_file_type(std::string_view FileType::*key, std::string_view name) {
  for (const FileType& type : file_types)
    if (!name.empty() && type.*key == name) return &type;
  return nullptr;
}

const FileType& file_type_of(DType dtype) { return file_types[static_cast<std::size_t>(dtype)]; }

Tensor read_elements(InputFile& file, const FileType& type, const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, type.dtype);
  const std::size_t bytes = static_cast<std::size_t>(tensor.numel()) * type.width;
  if (bytes == 0) return tensor;
  if (type.convert == nullptr) {
    file.read(tensor.raw(), bytes);
    return tensor;
  }
  std::vector<std::uint64_t> words((bytes + 7) / 8);  // so that every type is aligned
  file.read(words.data(), bytes);
  type.convert(words.data(), tensor.raw(), tensor.numel());
  return tensor;
}

}  // namespace ebb
