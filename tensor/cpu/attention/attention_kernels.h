// Attention: the entries of the table.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cpu {

void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out);
void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out);

}  // namespace ebb::cpu
