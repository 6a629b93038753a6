// The product that bmm and linear are: out[s] = a[s] b[s], a row of `bias` added to each row.
#pragma once

#include <ebb/tensor/precision.h>
#include <ebb/tensor/tensor.h>

#include <cstdint>

namespace ebb::cuda {

// Element (i, j) of matrix s is at s * batch + i * row + j * column; row or column is 1.
template <class T>
struct Matrices {
  const T* data;
  std::int64_t batch, row, column;
};

template <class T>
struct Product {
  std::int64_t count, m, n, k;
  Matrices<T> a, b;  // (m, k) and (k, n)
  const T* bias;     // n; or null
  T* out;            // (count, m, n), contiguous
  Device device;
};

// Of float32 as they are, and with operands rounded to another precision.
void tiled_product(const Product<float>& p);
void rounded_product(const Product<float>& p, Precision precision);

}  // namespace ebb::cuda
