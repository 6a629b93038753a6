#include <ebb/tensor/io/input_file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ebb {

InputFile::InputFile(const std::string& path) : path_(path) {
  // Opening a pipe would wait for its writer.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    const int error = errno;
    const std::string message =
        fmt::format("{}: cannot read it: {}; check the name", path, std::strerror(error));
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) throw Error(message);
    throw CannotRead(message);
  }
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail("{}: it is {}; give a regular file", path,
         known && S_ISDIR(status.st_mode) ? "a folder" : "a pipe or a device");
  }
  size_ = left_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void InputFile::read(void* to, std::uint64_t bytes) {
  check(bytes <= left_,
        "{}: truncated: {} bytes are needed at {} and {} are there; write or download the file "
        "again",
        path_, bytes, size_ - left_, left_);
  constexpr std::uint64_t most = std::uint64_t{1} << 30;
  char* next = static_cast<char*>(to);
  left_ -= bytes;
  while (bytes > 0) {
    const ssize_t got = ::read(descriptor_, next, std::min(bytes, most));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw CannotRead(
          fmt::format("{}: cannot read it: {}; check the disk", path_, std::strerror(errno)));
    check(got > 0, "{}: it ends early; was it changed while it was read?", path_);
    next += got;
    bytes -= static_cast<std::uint64_t>(got);
  }
}

int InputFile::release() { return std::exchange(descriptor_, -1); }

std::string read_file(const std::string& path, std::uint64_t most) {
  InputFile file(path);
  check(file.size() <= most, "{}: {} bytes, at most {} are read; is this the right file?", path,
        file.size(), most);
  std::string text(file.size(), '\0');
  file.read(text.data(), text.size());
  return text;
}

}  // namespace ebb
