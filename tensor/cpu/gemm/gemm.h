// Matrix products on the CPU (kernels of float and double only).
//
// float32 products are by kernels of our own: c[i,j] depends only on row i of a, column j of b, k
// and the epilogue, in a fixed order of additions over k. float64 products are OpenBLAS's, whose
// order of additions changes with m, n and the strides. Neither changes with the number of threads
// or inside a parallel region (where the calling thread works alone).
#pragma once

#include <ebb/tensor/ops/conv.h>

#include <cstdint>

namespace ebb::cpu {

// Element (i, j) is data[i * row_stride + j * column_stride]; one of the two strides is 1. A
// row-major (m,k) matrix is {data, k, 1}; its transpose, read from the same memory, {data, 1, k}.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

// What is done to a product before it is stored, in this order.
template <class T>
struct Epilogue {
  bool accumulate = false;  // add what c held
  const T* bias = nullptr;  // n values, one a column
  Activation activation = Activation::none;
};

// c = activation([c +] a b + bias): a (m,k), b (k,n), c (m,n) with rows `ldc` apart. c overlaps
// neither operand. m, n and k may be 0; for k = 0 the product is 0.
// Uses all threads; cheap enough to call for a few hundred multiplications.
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<float>& a,
          const Matrix<float>& b, float* c, std::int64_t ldc, const Epilogue<float>& epilogue = {});
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
          const Matrix<double>& b, double* c, std::int64_t ldc,
          const Epilogue<double>& epilogue = {});

}  // namespace ebb::cpu
