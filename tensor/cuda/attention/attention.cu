// Which way attention goes.
#include <ebb/tensor/cuda/attention/attention_kernels.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out) {
  (fits_tiles(heads, q.dtype()) ? tiled_attention : plain_attention)(heads, q, k, v, out);
}

void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out) {
  (fits_tiles(heads, q.dtype()) ? tiled_attention_backward : plain_attention_backward)(
      heads, grad, q, k, v, value, out);
}

}  // namespace

void add_attention_kernels(Kernels& table) {
  table.attention = attention;
  table.attention_backward = attention_backward;
}

}  // namespace ebb::cuda
