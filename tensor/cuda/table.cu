#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

bool present() { return true; }

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels entries;
    add_runtime(entries);
    add_memory_kernels(entries);
    add_pointwise_kernels(entries);
    add_reduce_kernels(entries);
    add_softmax_kernels(entries);
    add_scan_kernels(entries);
    add_sort_kernels(entries);
    add_layout_kernels(entries);
    add_matmul_kernels(entries);
    add_symmetric_eigen_kernels(entries);
    add_attention_kernels(entries);
    add_norm_kernels(entries);
    add_pool_kernels(entries);
    add_resample_kernels(entries);
    add_conv_kernels(entries);
    add_random_kernels(entries);
    add_optim_kernels(entries);
    return entries;
  }();
  return table;
}

}  // namespace ebb::cuda
