#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

void add_reduce_kernels(Kernels&) {}

}  // namespace ebb::cuda
