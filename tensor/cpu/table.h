// How the table of the CPU is put together: each kernel file adds its own entries.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cpu {

void add_memory_kernels(Kernels& table);
void add_optim_kernels(Kernels& table);
void add_conv_kernels(Kernels& table);
void add_unary_kernels(Kernels& table);
void add_binary_kernels(Kernels& table);
void add_reduce_kernels(Kernels& table);
void add_along_kernels(Kernels& table);
void add_softmax_kernels(Kernels& table);
void add_layout_kernels(Kernels& table);
void add_matmul_kernels(Kernels& table);
void add_attention_kernels(Kernels& table);
void add_norm_kernels(Kernels& table);
void add_pool_kernels(Kernels& table);
void add_resample_kernels(Kernels& table);
void add_random_kernels(Kernels& table);

}  // namespace ebb::cpu
