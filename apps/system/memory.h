// How much memory there is, to ask before it is needed.
#pragma once

#include <string>

namespace ebb::apps {

// Bytes that this process may use: the machine's memory, or less where a cgroup or `ulimit -v` says
// so.
double memory_limit();

// Bytes that it has in memory now.
double resident_memory();

// An Error unless `bytes` are at most memory_limit(): "WHAT: it needs about 12.3 GB of memory, and
// there are 8.0; MEND".
void check_memory(const std::string& what, double bytes,
                  const std::string& mend = "make it smaller");

}  // namespace ebb::apps
