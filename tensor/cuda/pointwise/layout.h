// The part of a table's layout kernels that read an index (gather.cu).
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

void add_gather_kernels(Kernels& table);

}  // namespace ebb::cuda
