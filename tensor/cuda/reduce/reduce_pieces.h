// The quick ways of reduce.cu.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::cuda {

// Whether they take it, and whether they are worth it: for a few elements the plain kernels are as
// quick.
bool worth_pieces(const AxisView& along);

void reduce_by_pieces(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out);
void argmax_by_pieces(const Tensor& x, const AxisView& along, Tensor& out);

}  // namespace ebb::cuda
