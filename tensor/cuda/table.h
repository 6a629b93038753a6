// How the table of a GPU is put together: each kernel file adds its own entries.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

void add_runtime(Kernels& table);
void add_memory_kernels(Kernels& table);
void add_pointwise_kernels(Kernels& table);
void add_reduce_kernels(Kernels& table);
void add_softmax_kernels(Kernels& table);
void add_scan_kernels(Kernels& table);
void add_sort_kernels(Kernels& table);
void add_layout_kernels(Kernels& table);
void add_matmul_kernels(Kernels& table);
void add_symmetric_eigen_kernels(Kernels& table);
void add_attention_kernels(Kernels& table);
void add_norm_kernels(Kernels& table);
void add_pool_kernels(Kernels& table);
void add_resample_kernels(Kernels& table);
void add_conv_kernels(Kernels& table);
void add_random_kernels(Kernels& table);
void add_optim_kernels(Kernels& table);

}  // namespace ebb::cuda
