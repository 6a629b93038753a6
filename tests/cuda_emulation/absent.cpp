// Where the tests run on a real GPU, which counts nothing.
#include "emulation.h"

namespace emulation {

bool present() { return false; }
Counts counts() { return {}; }

}  // namespace emulation
