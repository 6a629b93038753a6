#include <ebb/tensor/reference/reference.h>

namespace ebb::reference {

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels entries;
    add_memory_kernels(entries);
    add_pointwise_kernels(entries);
    add_reduce_kernels(entries);
    add_layout_kernels(entries);
    add_matmul_kernels(entries);
    add_attention_kernels(entries);
    add_norm_kernels(entries);
    add_pool_kernels(entries);
    add_conv_kernels(entries);
    add_random_kernels(entries);
    add_optim_kernels(entries);
    return entries;
  }();
  return table;
}

}  // namespace ebb::reference
