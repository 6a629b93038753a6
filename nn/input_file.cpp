#include <ebb/nn/input_file.h>
#include <ebb/tensor/error.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ebb {

InputFile::InputFile(const std::string& path) : path_(path) {
  std::error_code error;
  size_ = std::filesystem::file_size(path, error);
  check(!error, "{}: cannot read it: {}; check the name", path, error.message());
  stream_.open(path, std::ios::binary);
  check(stream_.is_open(), "{}: cannot open it: {}; check its permissions", path,
        std::strerror(errno));
}

void InputFile::read(void* to, std::uint64_t bytes) {
  check(bytes <= left(),
        "{}: truncated: {} bytes are needed at {} and {} are there; write or "
        "download the file again",
        path_, bytes, at_, left());
  stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
  check(stream_.good(), "{}: reading {} bytes at {} failed; check the disk", path_, bytes, at_);
  at_ += bytes;
}

}  // namespace ebb
