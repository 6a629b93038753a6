// Preloaded into a program (LD_PRELOAD): counts the calls by which it changes files, and at the
// n-th fails, shortens, or kills.
//   EBB_FAULT_LOG    a file that gets a line a call, as they happen: name, path and, of a rename,
//   the
//                    new path, with tabs between them; what open makes is "create"
//   EBB_FAULT_STORE  a folder that gets what a file has at its fsync, as FILE N for line N from 1
//   EBB_FAULT_AT     n, from 1
//   EBB_FAULT_KIND   kill, short, an error's name (ENOSPC, EIO, EINTR, EMFILE), or a signal that it
//                    then gets, once or twice: INT, TERM, HUP, INT2, TERM2, HUP2
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
#include <utility>

namespace {

struct Plan {
  long at = 0;
  const char* kind = "";
  int log = -1;
  const char* store = std::getenv("EBB_FAULT_STORE");
  Plan() {
    unsetenv("LD_PRELOAD");  // gnuplot's calls are not the program's
    if (const char* text = std::getenv("EBB_FAULT_AT")) at = std::atol(text);
    if (const char* text = std::getenv("EBB_FAULT_KIND")) kind = text;
    if (const char* text = std::getenv("EBB_FAULT_LOG"))
      log = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  }
};

enum class Answer { go_on, fail, shorten };

// The regular file of `descriptor` as it is now, to STORE/CALL.
void keep(const char* store, long call, int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  char path[4096];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  const long from = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  std::snprintf(path, sizeof path, "%s/%ld", store, call);
  const long to = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  char block[1 << 16];
  for (long got; (got = syscall(SYS_read, from, block, sizeof block)) > 0;)
    syscall(SYS_write, to, block, got);
  syscall(SYS_close, from);
  syscall(SYS_close, to);
}

// What becomes of this call; for `fail` errno is set. `to`: of a rename; `descriptor`: of an fsync.
Answer answer(const char* name, const char* path, const char* to = "", int descriptor = -1) {
  static const Plan plan;
  static std::atomic<long> calls{0};
  const long call = ++calls;
  if (plan.log >= 0) {
    char line[8192];
    const int length = std::snprintf(line, sizeof line, "%s\t%s\t%s\n", name, path, to);
    syscall(SYS_write, plan.log, line, static_cast<size_t>(length));
    if (plan.store && descriptor >= 0) keep(plan.store, call, descriptor);
  }
  if (call != plan.at) return Answer::go_on;
  if (std::strcmp(plan.kind, "kill") == 0) syscall(SYS_kill, getpid(), SIGKILL);
  if (std::strcmp(plan.kind, "short") == 0) return Answer::shorten;
  for (const auto& [signal, name] : {std::pair{SIGINT, "INT"}, {SIGTERM, "TERM"}, {SIGHUP, "HUP"}})
    if (std::strncmp(plan.kind, name, std::strlen(name)) == 0) {
      for (int times = std::strchr(plan.kind, '2') ? 2 : 1; times > 0; --times) raise(signal);
      return Answer::go_on;
    }
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

// Where a descriptor, or a path that begins at one, leads; static, of this thread.
const char* path_of(int descriptor, const char* rest = "") {
  thread_local char result[4096];
  char link[64], folder[2048] = "";
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  if (descriptor >= 0 && rest[0] != '/') {
    const ssize_t length = readlink(link, folder, sizeof folder - 1);
    if (length > 0) folder[length] = 0;
  }
  std::snprintf(result, sizeof result, "%s%s%s", folder, *folder && *rest ? "/" : "", rest);
  return result;
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

#define EBB_OPEN(name)                                                                     \
  int name(const char* path, int flags, ...) {                                             \
    va_list rest;                                                                          \
    va_start(rest, flags);                                                                 \
    const mode_t mode = mode_of(flags, rest);                                              \
    va_end(rest);                                                                          \
    static const auto real = next<int (*)(const char*, int, ...)>(#name);                  \
    if (counts(path) && answer(flags & O_CREAT ? "create" : "open", path) == Answer::fail) \
      return -1;                                                                           \
    return real(path, flags, mode);                                                        \
  }
EBB_OPEN(open)
EBB_OPEN(open64)

ssize_t write(int descriptor, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (!counts(descriptor)) return real(descriptor, data, bytes);
  switch (answer("write", path_of(descriptor))) {
    case Answer::fail:
      return -1;
    case Answer::shorten:
      return real(descriptor, data, (bytes + 1) / 2);
    default:
      return real(descriptor, data, bytes);
  }
}

int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  if (counts(descriptor) && answer("fsync", path_of(descriptor), "", descriptor) == Answer::fail)
    return -1;
  return real(descriptor);
}

int close(int descriptor) {
  static const auto real = next<int (*)(int)>("close");
  if (counts(descriptor) && answer("close", path_of(descriptor)) == Answer::fail) {
    const int error = errno;
    real(descriptor);
    errno = error;
    return -1;
  }
  return real(descriptor);
}

#define EBB_OF_PATH(name, parameters, arguments, path, to)                  \
  int name parameters {                                                     \
    static const auto real = next<int(*) parameters>(#name);                \
    if (counts(path) && answer(#name, path, to) == Answer::fail) return -1; \
    return real arguments;                                                  \
  }
EBB_OF_PATH(rename, (const char* from, const char* to), (from, to), from, to)
EBB_OF_PATH(mkdir, (const char* path, mode_t mode), (path, mode), path, "")
EBB_OF_PATH(unlink, (const char* path), (path), path, "")
EBB_OF_PATH(rmdir, (const char* path), (path), path, "")
EBB_OF_PATH(remove, (const char* path), (path), path, "")

int unlinkat(int folder, const char* path, int flags) {
  static const auto real = next<int (*)(int, const char*, int)>("unlinkat");
  if (counts(path) && answer("unlinkat", path_of(folder, path)) == Answer::fail) return -1;
  return real(folder, path, flags);
}

int fchmod(int descriptor, mode_t mode) {
  static const auto real = next<int (*)(int, mode_t)>("fchmod");
  if (counts(descriptor) && answer("fchmod", path_of(descriptor)) == Answer::fail) return -1;
  return real(descriptor, mode);
}

}  // extern "C"
