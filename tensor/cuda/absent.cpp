// Linked where the CUDA kernels are not: every use of the device says so.
#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

bool present() { return false; }
std::vector<std::string> describe() { return {}; }

const Kernels& kernels() { fail("device cuda: this build has no CUDA kernels; use --device cpu"); }

}  // namespace ebb::cuda
