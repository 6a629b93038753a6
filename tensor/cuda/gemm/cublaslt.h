// NVIDIA's library for products of matrices, where it is asked for.
#pragma once

#include <ebb/tensor/cuda/gemm/product.h>

namespace ebb::cuda {

// Whether products of float32 go to cuBLASLt. It is faster than the kernels here, and a row's bits
// change with the number of rows; so it is off unless the environment's EBB_CUBLAS is 1, or a call
// here says so.
bool library_products();
void set_library_products(bool on);

// False, with nothing done, where the library cannot do it.
bool library_product(const Product<float>& p);

}  // namespace ebb::cuda
