#include <ebb/nn/atomic_file.h>
#include <ebb/tensor/error.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ebb {

namespace fs = std::filesystem;

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code ignored;
  const fs::path target = fs::canonical(path, ignored);
  if (!target.empty()) path_ = target.string();
  const bool in_place = fs::exists(path_, ignored) && !fs::is_regular_file(path_, ignored);
  written_ = in_place ? path_ : path_ + ".part" + std::to_string(::getpid());
  descriptor_ = ::open(written_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_here("open", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (written_ != path_) ::unlink(written_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  constexpr std::size_t most = std::size_t{1} << 30;
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, next, std::min(bytes, most));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_here("write", errno);
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  // Devices and pipes refuse fsync with EINVAL: they have nothing to flush.
  while (::fsync(descriptor_) < 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == ENOTSUP) break;
    fail_here("write", errno);
  }
  if (::close(std::exchange(descriptor_, -1)) < 0) {
    const int error = errno;
    if (written_ != path_) ::unlink(written_.c_str());
    fail_here("write", error);
  }
  if (written_ == path_) return;
  if (::rename(written_.c_str(), path_.c_str()) < 0) {
    const int error = errno;
    ::unlink(written_.c_str());
    fail_here("replace", error);
  }
  // Makes the new name durable too; where folders cannot be opened, the rename stands anyway.
  const std::string folder = fs::path(path_).parent_path().string();
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

void AtomicFile::fail_here(std::string_view action, int error) {
  const char* mend = error == ENOSPC || error == EDQUOT ? "free some space and save again"
                     : error == ENOENT                  ? "create its folder first"
                     : error == EACCES || error == EROFS || error == EPERM
                         ? "choose a place you may write to"
                         : "choose another place";
  fail("{}: cannot {} it: {}; {}{}", path_, action, std::strerror(error), mend,
       action == "open" ? "" : " (an earlier file of that name is unchanged)");
}

void write_file(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents.data(), contents.size());
  file.commit();
}

}  // namespace ebb
