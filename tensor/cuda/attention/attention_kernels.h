// The ways to attend, and how their kernels find a head's rows.
#pragma once

#include <cuda_runtime.h>
#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

// Plainly, of any sizes; of float32 by tiles, where fits_tiles() says so.
void plain_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out);
void plain_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out);
bool fits_tiles(const Heads& heads, DType dtype);
void tiled_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out);
void tiled_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out);

// Of row `row` of head `head`, counted over all items, the first element.
__device__ inline std::int64_t place(const Heads& heads, const HeadRows& rows, std::int64_t head,
                                     std::int64_t row) {
  return rows.first + head / heads.heads * rows.item + head % heads.heads * rows.head +
         row * rows.row;
}

}  // namespace ebb::cuda
