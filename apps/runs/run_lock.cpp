#include <ebb/apps/runs/run_lock.h>
#include <ebb/tensor/error.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ebb::apps {

RunLock::RunLock(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666)) {
  check(descriptor_ >= 0, "{}: cannot open it: {}; choose a place you may write to", path,
        std::strerror(errno));
  int result;
  while ((result = ::flock(descriptor_, LOCK_EX | LOCK_NB)) < 0 && errno == EINTR) {
  }
  const int error = errno;
  if (result < 0 && error == EWOULDBLOCK) {
    char holder[32] = {};
    if (::read(descriptor_, holder, sizeof holder - 1) <= 0) std::strcpy(holder, "unknown");
    ::close(descriptor_);
    fail("{}: process {} trains into this run; wait for its end or choose another --out", path,
         holder);
  }
  // Where a file system has no locks there is none.
  if (result < 0) return;
  const std::string holder = std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) == 0 &&
      ::pwrite(descriptor_, holder.data(), holder.size(), 0) < 0)
    return;  // only a courtesy to whoever comes second
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace ebb::apps
