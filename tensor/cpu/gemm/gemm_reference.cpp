#include <ebb/tensor/cpu/common/activation.h>
#include <ebb/tensor/cpu/gemm/gemm.h>

namespace ebb::cpu {

template <class T>
void gemm_reference(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<T>& a,
                    const Matrix<T>& b, T* c, std::int64_t ldc, const Epilogue<T>& epilogue) {
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

template void gemm_reference(std::int64_t, std::int64_t, std::int64_t, const Matrix<float>&,
                             const Matrix<float>&, float*, std::int64_t, const Epilogue<float>&);
template void gemm_reference(std::int64_t, std::int64_t, std::int64_t, const Matrix<double>&,
                             const Matrix<double>&, double*, std::int64_t, const Epilogue<double>&);

}  // namespace ebb::cpu
