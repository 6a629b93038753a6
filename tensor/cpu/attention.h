// Attention: the entries of the table, and the plain loops they are held to.
#pragma once

#include <ebb/tensor/kernels.h>

namespace ebb::cpu {

void attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Attended& out);
void attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Attended& value, double scale, AttentionGradients& out);

void attention_reference(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                         Attended& out);
void attention_backward_reference(const Tensor& grad, const Tensor& q, const Tensor& k,
                                  const Tensor& v, const Attended& value, double scale,
                                  AttentionGradients& out);

}  // namespace ebb::cpu
