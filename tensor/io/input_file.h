// Reading a file that nothing is known of: only regular files (a pipe or a device would wait or
// never end), each read checked.
#pragma once

#include <ebb/tensor/error.h>

#include <cstdint>
#include <string>

namespace ebb {

// The system does not let a file be read that is there: no permission, no descriptors left, a disk
// that fails. It says nothing of what is in the file.
struct CannotRead : Error {
  using Error::Error;
};

class InputFile {
 public:
  // An Error (CannotRead where it is the system's) names the file and the reason, here and below:
  // it is not there, it is a folder, a pipe or a device.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  // Bytes not read yet.
  std::uint64_t left() const { return left_; }
  // The next `bytes` bytes; an Error where there are fewer.
  void read(void* to, std::uint64_t bytes);
  // The file descriptor, which becomes the caller's to close.
  int release();

 private:
  std::string path_;
  int descriptor_;
  std::uint64_t size_ = 0, left_ = 0;
};

// What a compressed file of `bytes` may unfold to: far more is an attack on memory.
constexpr std::int64_t most_expanded(std::int64_t bytes) { return 16 * bytes + (64 << 20); }

// The whole file; an Error if it has more than `most` bytes.
std::string read_file(const std::string& path, std::uint64_t most = std::uint64_t{1} << 30);

}  // namespace ebb
