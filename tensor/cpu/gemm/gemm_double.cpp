// Products of float64 matrices: OpenBLAS, one block of c at a time.
#include <ebb/tensor/backend/activation.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/parallel.h>

namespace ebb::cpu {

namespace {

// OpenBLAS adds in another order where a block is smaller, so blocks begin and end at the same
// rows and columns whatever the number of threads.
constexpr std::int64_t block_rows = 512, block_columns = 1024;
constexpr std::int64_t small = 1 << 18;  // multiplications that do not pay for waking a thread

}  // namespace

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
          const Matrix<double>& b, double* c, std::int64_t ldc, const Epilogue<double>& epilogue) {
  const std::int64_t row_blocks = (m + block_rows - 1) / block_rows;
  const std::int64_t tasks = row_blocks * ((n + block_columns - 1) / block_columns);
  parallel_for(tasks, m * n * k < small ? tasks : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t row = task % row_blocks * block_rows;
      const std::int64_t column = task / row_blocks * block_columns;
      const std::int64_t rows = std::min(block_rows, m - row);
      const std::int64_t columns = std::min(block_columns, n - column);
      double* block = c + row * ldc + column;
      openblas_gemm(rows, columns, k, {a.data + row * a.row_stride, a.row_stride, a.column_stride},
                    {b.data + column * b.column_stride, b.row_stride, b.column_stride}, block, ldc,
                    epilogue.accumulate);
      if (!epilogue.bias && epilogue.activation == Activation::none) continue;
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) {
          double& value = block[i * ldc + j];
          if (epilogue.bias) value += epilogue.bias[column + j];
          value = activate(value, epilogue.activation);
        }
    }
  });
}

}  // namespace ebb::cpu
