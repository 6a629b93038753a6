#include "tests/paths.h"

#include <cstdlib>

namespace ebb::test {

std::string golden_folder() {
  const char* const folder = std::getenv("EBB_GOLDEN_DIR");
  return folder != nullptr ? folder : EBB_SOURCE_DIR "/tests/golden";
}
std::string source_folder() { return EBB_SOURCE_DIR; }
std::string program() { return EBB_PROGRAM; }

}  // namespace ebb::test
