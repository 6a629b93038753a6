// The ways of attention; each has its table entry's signature.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

void plain_attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                     Attended& out);
void plain_attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q,
                              const Tensor& k, const Tensor& v, const Attended& value,
                              AttentionGradients& out);

}  // namespace ebb::cuda
