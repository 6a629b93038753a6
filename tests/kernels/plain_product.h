// A product as cpu/gemm/gemm.h has it, by three loops.
#pragma once

#include <ebb/tensor/backend/activation.h>
#include <ebb/tensor/cpu/gemm/gemm.h>

namespace ebb::test {

template <class T>
void plain_product(std::int64_t m, std::int64_t n, std::int64_t k, const cpu::Matrix<T>& a,
                   const cpu::Matrix<T>& b, T* c, std::int64_t ldc,
                   const cpu::Epilogue<T>& epilogue) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (std::int64_t p = 0; p < k; ++p)
        sum += a.data[i * a.row_stride + p * a.column_stride] *
               b.data[p * b.row_stride + j * b.column_stride];
      if (epilogue.accumulate) sum += c[i * ldc + j];
      if (epilogue.bias) sum += epilogue.bias[j];
      c[i * ldc + j] = activate(sum, epilogue.activation);
    }
}

}  // namespace ebb::test
