#include <ebb/tensor/cpu/runtime/environment.h>

#include <cstdlib>

namespace ebb::cpu {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace ebb::cpu
