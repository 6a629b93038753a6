// Writing a file so that what is on disk is never lost: the bytes go to a temporary file beside
// `path`, and commit() puts it in the place of the old one in a single step. Until then, and
// whenever something fails, the old file stays as it was.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb {

class AtomicFile {
 public:
  // An Error names the file and the system's reason, here and below: a missing folder, no
  // permission, a full disk. What is no regular file (a device, a pipe) is written directly. The
  // new file has the permissions of the old one; the temporary one a name that nobody can guess.
  explicit AtomicFile(const std::string& path);
  // Without a commit the temporary file is removed.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  // Flushes to the disk, then renames over `path`.
  void commit();

 private:
  [[noreturn]] void fail_here(std::string_view action, int error);

  void discard();

  std::string path_;     // where the bytes shall be; a symbolic link is followed
  std::string written_;  // where they go now
  int descriptor_ = -1;
};

// The names in `folder` are on the disk when this returns: files made or renamed there outlive a
// power cut. An Error where the disk says no; file systems that cannot do it are passed over.
void sync_folder(const std::string& folder);

// Whether `name` is that of a temporary file or folder, which a program that was killed left.
bool is_temporary(std::string_view name);
// A name beside `path`, as yet of nothing, for which is_temporary holds.
std::string temporary_name(const std::string& path);

// The whole of `contents`, by an AtomicFile.
void write_file(const std::string& path, std::string_view contents);

// Adds to the end of a file, which is made where there is none; not flushed to the disk. An Error
// as above.
void append_to_file(const std::string& path, std::string_view text);

}  // namespace ebb
