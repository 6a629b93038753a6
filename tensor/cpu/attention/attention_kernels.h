// Attention: the entries of the table, and the plain loops they are held to.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cpu {

void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out);
void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out);

void attention_reference(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                         Attended& out);
void attention_backward_reference(const Heads& heads, const Tensor& grad, const Tensor& q,
                                  const Tensor& k, const Tensor& v, const Attended& value,
                                  AttentionGradients& out);

}  // namespace ebb::cpu
