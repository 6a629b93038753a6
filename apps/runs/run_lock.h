// One process at a time trains into a run.
#pragma once

#include <string>
#include <utility>

namespace ebb::apps {

class RunLock {
 public:
  // Takes the file `path`, made where there is none, until the end of this object or, however it
  // ends, of the process. An Error that says which process has it.
  explicit RunLock(const std::string& path);
  ~RunLock();
  RunLock(RunLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  RunLock& operator=(RunLock&&) = delete;

 private:
  int descriptor_;
};

}  // namespace ebb::apps
