// Reading a binary file whose length is known and checked.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace ebb {

class InputFile {
 public:
  // An Error names the file and the system's reason where it cannot be read.
  explicit InputFile(const std::string& path);

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  // Bytes not read yet.
  std::uint64_t left() const { return size_ - at_; }
  // The next `bytes` bytes; an Error where there are fewer.
  void read(void* to, std::uint64_t bytes);

 private:
  std::string path_;
  std::uint64_t size_ = 0, at_ = 0;
  std::ifstream stream_;
};

}  // namespace ebb
