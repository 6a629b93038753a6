#include <ebb/tensor/cpu/runtime/simd_target.h>
#include <ebb/tensor/cpu/table.h>

namespace ebb::cpu {

namespace {

Kernels make_table() {
  simd_target();  // its errors come before any work
  Kernels table;
  add_memory_kernels(table);
  add_optim_kernels(table);
  add_conv_kernels(table);
  add_unary_kernels(table);
  add_binary_kernels(table);
  add_reduce_kernels(table);
  add_along_kernels(table);
  add_softmax_kernels(table);
  add_layout_kernels(table);
  add_matmul_kernels(table);
  add_attention_kernels(table);
  add_norm_kernels(table);
  add_pool_kernels(table);
  add_resample_kernels(table);
  add_random_kernels(table);
  return table;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels table = make_table();
  return table;
}

}  // namespace ebb::cpu
