// Which way attention goes.
#include <ebb/tensor/cuda/attention/attention_kernels.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

void add_attention_kernels(Kernels& table) {
  table.attention = plain_attention;
  table.attention_backward = plain_attention_backward;
}

}  // namespace ebb::cuda
