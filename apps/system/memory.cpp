#include <ebb/apps/system/memory.h>
#include <ebb/tensor/error.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace ebb::apps {
namespace {

// The number in a file; `otherwise` where there is none ("max").
double number_in(const std::string& path, double otherwise) {
  std::ifstream file(path);
  double value = 0;
  return file >> value ? value : otherwise;
}

// The lowest limit from this process's cgroup up to the root of the hierarchy (v2 and v1).
double cgroup_limit(double otherwise) {
  double limit = otherwise;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* name = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    // In a container the path may be that of the host: the root is always there.
    limit = std::min(limit, number_in(root + name, limit));
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/')))
      limit = std::min(limit, number_in(root + path + name, limit));
  }
  return limit;
}

struct Pages {
  double addresses = 0, resident = 0;  // bytes
};

Pages pages_now() {
  std::ifstream file("/proc/self/statm");
  Pages pages;
  file >> pages.addresses >> pages.resident;
  const auto size = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {pages.addresses * size, pages.resident * size};
}

}  // namespace

double memory_limit() {
  double limit =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  limit = cgroup_limit(limit);
  rlimit addresses{};
  if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY)
    // Of these, libraries and stacks take what is no memory; the stack of one thread is to come.
    limit = std::min(limit, std::max(0.0, static_cast<double>(addresses.rlim_cur) - 8e6 -
                                              pages_now().addresses + pages_now().resident));
  return limit;
}

double resident_memory() { return pages_now().resident; }

void check_memory(const std::string& what, double bytes, const std::string& mend) {
  const double limit = memory_limit();
  check(bytes <= limit, "{}: it needs about {:.1f} GB of memory, and there are {:.1f}; {}", what,
        bytes / 1e9, limit / 1e9, mend);
}

}  // namespace ebb::apps
