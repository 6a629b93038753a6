#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/file_types.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/ops/layout.h>

#include <algorithm>
#include <charconv>

namespace ebb {

namespace {

constexpr std::string_view magic = "\x93NUMPY";

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text)
      : path_(path), rest_(text), length_(text.size()) {}

  Header parse() {
    Header header;
    int found = 0;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        header.descr = string();
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
      } else {
        check(key == "shape", "{}: the header has an unknown key {:?}; save it with np.save", path_,
              key);
        header.shape = tuple();
      }
      ++found;
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    check(found == 3, "{}: the header has {} keys instead of 3; save it with np.save", path_,
          found);
    return header;
  }

 private:
  std::size_t at() const { return length_ - rest_.size(); }
  void skip_spaces() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size()));
  }
  bool accept(char c) {
    skip_spaces();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    check(accept(c), "{}: the header needs '{}' at byte {}; save a plain array with np.save", path_,
          c, at());
  }
  std::string string() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect(quote);
    const std::string result(rest_.substr(0, rest_.find(quote)));
    rest_.remove_prefix(result.size());
    expect(quote);
    return result;
  }
  bool boolean() {
    skip_spaces();
    const bool value = rest_.starts_with("True");
    check(value || rest_.starts_with("False"),
          "{}: fortran_order is neither True nor False; save it with np.save", path_);
    rest_.remove_prefix(value ? 4 : 5);
    return value;
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> result;
    expect('(');
    while (!accept(')')) {
      std::int64_t size = -1;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      check(error == std::errc() && size >= 0,
            "{}: no size at byte {} of the header; save it with np.save", path_, at());
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      result.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }

  const std::string& path_;
  std::string_view rest_;
  std::size_t length_;
};

}  // namespace

Tensor read_npy(const std::string& path) {
  InputFile file(path);
  unsigned char start[8];
  check(file.size() >= 10, "{}: {} bytes are too short for a .npy file; save it again", path,
        file.size());
  file.read(start, 8);
  check(std::equal(magic.begin(), magic.end(), reinterpret_cast<const char*>(start)),
        "{}: it does not begin as a .npy file; save it with np.save", path);
  check(start[6] >= 1 && start[6] <= 3, "{}: .npy version {}; save it as 1.0, 2.0 or 3.0", path,
        start[6]);
  std::uint32_t length = 0;
  file.read(&length, start[6] == 1 ? 2 : 4);
  check(length <= file.left(),
        "{}: truncated: the header has {} bytes, {} are there; save it again", path, length,
        file.left());
  std::string text(length, '\0');
  file.read(text.data(), length);
  const Header header = HeaderParser(path, text).parse();

  const FileType* type = find_file_type(&FileType::npy, header.descr);
  check(type != nullptr, "{}: elements of type {:?}; convert them to float32, float64 or int64",
        path, header.descr);
  std::uint64_t bytes = type->width;
  for (const std::int64_t size : header.shape)
    check(!__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes) &&
              bytes <= INT64_MAX,
          "{}: the sizes overflow; save it again", path);
  check(bytes == file.left(), "{}: {} bytes of data where the shape needs {}; save it again", path,
        file.left(), bytes);
  check(header.shape.size() <= Shape::max_rank,
        "{}: {} dimensions, at most {} are supported; "
        "reshape it",
        path, header.shape.size(), Shape::max_rank);
  std::vector<std::int64_t> sizes = header.shape;
  if (!header.fortran_order) return read_elements(file, *type, Shape(sizes));
  std::reverse(sizes.begin(), sizes.end());
  Dims dims;
  for (std::size_t d = sizes.size(); d-- > 0;) dims.push_back(static_cast<std::int64_t>(d));
  return permute(read_elements(file, *type, Shape(sizes)), dims);
}

NpyWriter::NpyWriter(const std::string& path, const Shape& shape, DType dtype)
    : path_(path), file_(path), row_(shape), dtype_(dtype), left_(0) {
  std::string sizes;
  for (const std::int64_t size : shape) sizes += std::to_string(size) + ", ";
  if (shape.rank() > 1) sizes.resize(sizes.size() - 2);
  if (shape.rank() == 1) sizes.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   file_type_of(dtype).npy, sizes);
  // With the ten bytes before it a multiple of 64, and a newline at its end.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string start(magic);
  start +=
      {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file_.write(start.data(), start.size());
  file_.write(header.data(), header.size());
  if (shape.rank() == 0) return;
  left_ = shape[0];
  row_.set(0, 1);
}

void NpyWriter::append(const Tensor& rows) {
  Shape one = rows.shape();
  const std::int64_t count = one.rank() > 0 ? one[0] : 0;
  if (one.rank() > 0) one.set(0, 1);
  check(rows.dtype() == dtype_ && (row_.rank() == 0 || (one == row_ && count <= left_)),
        "{}: {} {} do not follow here: rows of {} {}, {} of them", path_, rows.dtype(),
        rows.shape(), dtype_, row_, left_);
  const Tensor host = rows.to(Device::cpu);
  file_.write(host.raw(), host.bytes());
  left_ -= count;
}

void NpyWriter::commit() {
  check(left_ == 0, "{}: {} rows are missing", path_, left_);
  file_.commit();
}

void write_npy(const std::string& path, const Tensor& tensor) {
  check(tensor.defined(), "{}: the tensor is undefined; give it a value first", path);
  NpyWriter file(path, tensor.shape(), tensor.dtype());
  file.append(tensor);
  file.commit();
}

}  // namespace ebb
