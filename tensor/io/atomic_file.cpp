#include <ebb/tensor/error.h>
#include <ebb/tensor/io/atomic_file.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ebb {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view mark = ".part-";

// An error's number, or 0.
int write_all(int descriptor, const char* next, std::size_t bytes) {
  constexpr std::size_t most = std::size_t{1} << 30;
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor, next, std::min(bytes, most));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
  return 0;
}

const char* mend_of(int error) {
  return error == ENOSPC || error == EDQUOT                    ? "free some space and save again"
         : error == ENOENT                                     ? "create its folder first"
         : error == EACCES || error == EROFS || error == EPERM ? "choose a place you may write to"
                                                               : "choose another place";
}

}  // namespace

std::string temporary_name(const std::string& path) {
  std::uint64_t random = 0;
  check(::getrandom(&random, sizeof random, 0) == sizeof random, "{}: no random name: {}", path,
        std::strerror(errno));
  return fmt::format("{}{}{:016x}", path, mark, random);
}

bool is_temporary(std::string_view name) {
  const std::size_t at = name.rfind(mark);
  return at != std::string_view::npos && name.size() == at + mark.size() + 16 &&
         name.find_first_not_of("0123456789abcdef", at + mark.size()) == std::string_view::npos;
}

void sync_folder(const std::string& folder) {
  const char* name = folder.empty() ? "." : folder.c_str();
  const int descriptor = ::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0 && errno == EACCES) return;  // may be written to, not listed
  check(descriptor >= 0, "{}: cannot open this folder: {}", name, std::strerror(errno));
  int result;
  while ((result = ::fsync(descriptor)) < 0 && errno == EINTR) {
  }
  const int error = errno;
  ::close(descriptor);
  check(result == 0 || error == EINVAL || error == ENOTSUP || error == EROFS,
        "{}: cannot make what was saved there durable: {}; check the disk", name,
        std::strerror(error));
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code ignored;
  const fs::path target = fs::canonical(path, ignored);
  if (!target.empty()) path_ = target.string();
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    written_ = path_;
    descriptor_ = ::open(written_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    written_ = temporary_name(path_);
    const mode_t mode = exists ? old.st_mode & 07777 : 0666;
    descriptor_ =
        ::open(written_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    // What the umask took away.
    if (exists && descriptor_ >= 0 && ::fchmod(descriptor_, mode) < 0) {
      const int error = errno;
      discard();
      fail_here("keep the permissions of", error);
    }
  }
  if (descriptor_ < 0) fail_here("open", errno);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (descriptor_ < 0) return;
  ::close(std::exchange(descriptor_, -1));
  if (written_ != path_) ::unlink(written_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const int error = write_all(descriptor_, static_cast<const char*>(data), bytes);
  if (error != 0) fail_here("write", error);
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
  sync_folder(fs::path(path_).parent_path().string());
}

void AtomicFile::fail_here(std::string_view action, int error) {
  fail("{}: cannot {} it: {}; {}{}", path_, action, std::strerror(error), mend_of(error),
       action == "open" ? "" : " (an earlier file of that name is unchanged)");
}

void write_file(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents.data(), contents.size());
  file.commit();
}

void append_to_file(const std::string& path, std::string_view text) {
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
  int error = descriptor < 0 ? errno : write_all(descriptor, text.data(), text.size());
  if (descriptor >= 0 && ::close(descriptor) < 0 && error == 0) error = errno;
  check(error == 0, "{}: cannot write it: {}; {}", path, std::strerror(error), mend_of(error));
}

}  // namespace ebb
