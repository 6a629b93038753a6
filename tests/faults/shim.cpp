// Preloaded into a program (LD_PRELOAD): counts the calls by which it changes files, and at the
// n-th fails, shortens, or kills.
//   EBB_FAULT_LOG    a file that gets the number of calls, a name a line, as they happen
//   EBB_FAULT_AT     n, from 1
//   EBB_FAULT_KIND   kill, short, or an error's name: ENOSPC, EIO, EINTR, EMFILE
// A call on what lies in /proc, /dev or /sys is none.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  long at = 0;
  const char* kind = "";
  int log = -1;
  Plan() {
    if (const char* text = std::getenv("EBB_FAULT_AT")) at = std::atol(text);
    if (const char* text = std::getenv("EBB_FAULT_KIND")) kind = text;
    if (const char* text = std::getenv("EBB_FAULT_LOG"))
      log = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  }
};

enum class Answer { go_on, fail, shorten };

// What becomes of this call; for `fail` errno is set.
Answer answer(const char* name) {
  static const Plan plan;
  static std::atomic<long> calls{0};
  const long call = ++calls;
  if (plan.log >= 0) {
    char line[64];
    const int length = std::snprintf(line, sizeof line, "%s\n", name);
    syscall(SYS_write, plan.log, line, static_cast<size_t>(length));
  }
  if (call != plan.at) return Answer::go_on;
  if (std::strcmp(plan.kind, "kill") == 0) syscall(SYS_kill, getpid(), SIGKILL);
  if (std::strcmp(plan.kind, "short") == 0) return Answer::shorten;
  errno = std::strcmp(plan.kind, "ENOSPC") == 0   ? ENOSPC
          : std::strcmp(plan.kind, "EINTR") == 0  ? EINTR
          : std::strcmp(plan.kind, "EMFILE") == 0 ? EMFILE
                                                  : EIO;
  return Answer::fail;
}

bool counts(const char* path) {
  for (const char* other : {"/proc", "/dev", "/sys", "/etc", "/usr", "/lib"})
    if (std::strncmp(path, other, std::strlen(other)) == 0) return false;
  return true;
}
bool counts(int descriptor) {
  struct stat status {};
  return descriptor > 2 && fstat(descriptor, &status) == 0 &&
         (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

mode_t mode_of(int flags, va_list rest) {
  return flags & O_CREAT ? static_cast<mode_t>(va_arg(rest, int)) : 0;
}

}  // namespace

extern "C" {

#define EBB_OPEN(name)                                                    \
  int name(const char* path, int flags, ...) {                            \
    va_list rest;                                                         \
    va_start(rest, flags);                                                \
    const mode_t mode = mode_of(flags, rest);                             \
    va_end(rest);                                                         \
    static const auto real = next<int (*)(const char*, int, ...)>(#name); \
    if (counts(path) && answer(#name) == Answer::fail) return -1;         \
    return real(path, flags, mode);                                       \
  }
EBB_OPEN(open)
EBB_OPEN(open64)

ssize_t write(int descriptor, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (!counts(descriptor)) return real(descriptor, data, bytes);
  switch (answer("write")) {
    case Answer::fail:
      return -1;
    case Answer::shorten:
      return real(descriptor, data, (bytes + 1) / 2);
    default:
      return real(descriptor, data, bytes);
  }
}

#define EBB_OF_DESCRIPTOR(name)                                \
  int name(int descriptor) {                                   \
    static const auto real = next<int (*)(int)>(#name);        \
    if (counts(descriptor) && answer(#name) == Answer::fail) { \
      const int error = errno;                                 \
      if (std::strcmp(#name, "close") == 0) real(descriptor);  \
      errno = error;                                           \
      return -1;                                               \
    }                                                          \
    return real(descriptor);                                   \
  }
EBB_OF_DESCRIPTOR(fsync)
EBB_OF_DESCRIPTOR(close)

#define EBB_OF_PATH(name, parameters, arguments, path)            \
  int name parameters {                                           \
    static const auto real = next<int(*) parameters>(#name);      \
    if (counts(path) && answer(#name) == Answer::fail) return -1; \
    return real arguments;                                        \
  }
EBB_OF_PATH(rename, (const char* from, const char* to), (from, to), from)
EBB_OF_PATH(mkdir, (const char* path, mode_t mode), (path, mode), path)
EBB_OF_PATH(unlink, (const char* path), (path), path)
EBB_OF_PATH(rmdir, (const char* path), (path), path)
EBB_OF_PATH(unlinkat, (int folder, const char* path, int flags), (folder, path, flags), path)
EBB_OF_PATH(remove, (const char* path), (path), path)

int fchmod(int descriptor, mode_t mode) {
  static const auto real = next<int (*)(int, mode_t)>("fchmod");
  if (counts(descriptor) && answer("fchmod") == Answer::fail) return -1;
  return real(descriptor, mode);
}

}  // extern "C"
