// Runs the ebb program as a user would.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace ebb::test {

using Arguments = std::vector<std::string>;
Arguments operator+(Arguments a, const Arguments& b);

struct Outcome {
  int code;  // exit code; -N: ended by signal N
  std::string out, err;
};

struct RunOptions {
  std::string stdout_to = {};                 // a file instead of Outcome::out
  unsigned long largest_file = 0;             // bytes that any file may have; 0: no bound
  unsigned long most_memory = 0;              // bytes of addresses (ulimit -v); 0: no bound
  std::vector<std::string> environment = {};  // "NAME=value", added
  std::function<void(pid_t)> meanwhile = {};  // called while it runs
};

Outcome run_program(const std::vector<std::string>& arguments, const RunOptions& options = {});

// The same; an exit code other than 0 ends the test case.
Outcome succeed(const std::vector<std::string>& arguments);
// Checks that it ends with `code`, nothing on stdout and one line on stderr, which begins with
// "ebb: " and has `words`.
void check_refused(const std::vector<std::string>& arguments, int code, const std::string& words);

}  // namespace ebb::test
