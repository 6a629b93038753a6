// How much memory there is, to ask before it is needed.
#pragma once

#include <string>

namespace ebb::apps {

// Bytes that this process may use: the machine's memory, or less where a cgroup or `ulimit -v` says
// so.
double memory_limit();

// An Error unless `bytes` are at most that: "WHAT needs about 12.3 GB ...".
void check_memory(const std::string& what, double bytes);

}  // namespace ebb::apps
